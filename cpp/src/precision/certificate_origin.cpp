// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
#include "precision/certificate_origin.hpp"

#include <optional>
#include <set>

#include "base/sha256.hpp"
#include "builtin_certificates.hpp"
#include "bundle/manifest_parser.hpp"
#include "medsam/error.hpp"
#include "precision/tuning.hpp"

namespace medsam {

namespace {

// As Certificate::text: JSON with its fields in order, so that how a file is laid out does not matter.
std::set<std::string> texts_of(const std::string& list, const std::string& where) {
  std::set<std::string> texts;
  for (const Json& item : parse_json(list, where)) texts.insert(item.dump());
  return texts;
}

std::set<std::string> measured_here(const std::string& model_hash, const CacheFolder& cache,
                                    const CacheFolder::Log& log) {
  const std::string entry = certificates_entry(model_hash);
  const std::optional<std::string> list = cache.read(entry);
  if (!list) return {};
  try {
    return texts_of(*list, "file");
  } catch (const ModelError&) {
    if (log) log("certificates measured here, " + cache.path(entry) + ", are not valid JSON; run `certify` again");
    return {};
  }
}

}  // namespace

std::string certificates_entry(const std::string& model_hash) {
  return "certified/" + sha256_hex(model_hash + "\n" + machine_digest()) + ".json";
}

std::vector<Certificate> with_origins(std::vector<Certificate> certificates, const std::string& model_hash,
                                      const CacheFolder& cache, const CacheFolder::Log& log) {
  if (certificates.empty()) return certificates;
  static const std::set<std::string> kProject = texts_of(kBuiltinCertificates, "certificates.json");
  const std::set<std::string> here = measured_here(model_hash, cache, log);
  for (Certificate& certificate : certificates) {
    certificate.origin = kProject.count(certificate.text) != 0 ? CertificateOrigin::project
                         : here.count(certificate.text) != 0   ? CertificateOrigin::machine
                                                               : CertificateOrigin::bundle;
  }
  return certificates;
}

}  // namespace medsam
