# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A DICOMweb server, such as a PACS: series from it, DICOM SEG to it. Needs the extra [dicomweb]; docs/dicomweb.md.

- access: who asks, and which certificates count
- transport: one HTTP session, its limit of bytes, and its errors
- server: the services QIDO-RS, WADO-RS and STOW-RS
- study: which series of a study are to be segmented, and which of its objects give their boxes
- series_worker: the worker of a cohort for such series; source_record: what it need not fetch again

No message holds anything of a patient, of a server's answer or of a secret: UIDs, numbers and codes alone.
"""
