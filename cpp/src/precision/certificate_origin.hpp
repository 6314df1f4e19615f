// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// Whose word a bundle's certificates are (docs/bundle.md, "Whose word").
#pragma once

#include <string>
#include <vector>

#include "base/cache_folder.hpp"
#include "bundle/certificate.hpp"

namespace medsam {

/// Name of the file in the cache folder that remembers the certificates measured on this machine for a model: a JSON
/// list of them, written by tools/medsam_engine_tools/approximate/certify.py. It is worth what the cache folder is:
/// whoever can write there can make any certificate this machine's.
std::string certificates_entry(const std::string& model_hash);

/// The certificates with their origins: the project's are those of tools/medsam_engine_tools/bundle/certificates.json,
/// compiled in; this machine's those of certificates_entry(). Equal means equal in every field, measurements too. A
/// file that does not parse is reported to `log` and counts as absent.
std::vector<Certificate> with_origins(std::vector<Certificate> certificates, const std::string& model_hash,
                                      const CacheFolder& cache, const CacheFolder::Log& log);

}  // namespace medsam
