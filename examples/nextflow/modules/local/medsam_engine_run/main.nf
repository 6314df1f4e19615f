// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One shard of a list of cases. Answers go to a folder that all tasks share, and not through Nextflow: their records say
// which case is done, so that a task that is tried again continues.

process MEDSAM_ENGINE_RUN {
    tag "${shard}/${shards}"
    label 'process_medium'

    input:
    tuple val(shard), val(shards)
    val cases
    val answers
    val bundle

    output:
    path 'shard_*.csv', emit: times
    path 'versions.yml', emit: versions

    when:
    task.ext.when == null || task.ext.when

    script:
    def args = task.ext.args ?: ''
    def model = bundle ? "--bundle '${bundle}'" : ''
    """
    medsam-engine run '${cases}' '${answers}' ${model} \\
        --shard ${shard}/${shards} \\
        --threads ${task.cpus} \\
        --csv shard_${shard}.csv \\
        ${args}

    cat <<-END_VERSIONS > versions.yml
    "${task.process}":
        medsam-engine: \$(medsam-engine --version | sed 's/.* //')
    END_VERSIONS
    """

    stub:
    """
    touch shard_${shard}.csv
    touch versions.yml
    """
}
