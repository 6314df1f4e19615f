#!/usr/bin/env nextflow
// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// A list of cases in shards: nextflow run main.nf --cases cases.csv --answers answers --shards 8 --bundle BUNDLE
// The answers lie in one folder, which all tasks share; the records in it say which case is done. A task that is stopped
// (143) or ended for its memory (137) is tried again and continues; one whose cases failed (1) ends the pipeline last.

nextflow.enable.dsl = 2

params.cases = 'cases.csv'
params.answers = 'answers'
params.bundle = null
params.shards = 8

include { MEDSAM_ENGINE_RUN } from './modules/local/medsam_engine_run/main'

workflow {
    shards = Channel.of(1..(params.shards as int)).map { shard -> tuple(shard, params.shards) }
    MEDSAM_ENGINE_RUN(
        shards,
        file(params.cases, checkIfExists: true).toAbsolutePath().toString(),
        file(params.answers).toAbsolutePath().toString(),
        params.bundle ? file(params.bundle, checkIfExists: true).toAbsolutePath().toString() : ''
    )
    MEDSAM_ENGINE_RUN.out.times.collectFile(
        name: 'times.csv', storeDir: params.answers, keepHeader: true, skip: 1
    )
}
