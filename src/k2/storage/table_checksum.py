"""Write a version's checksum file, which saves Spark a job for every new commit that it reads.

Source: the Delta protocol, "Version Checksum File". Delta finds a table's protocol and metadata in it.
Without one it searches the whole log for both, with a query whose generated code contains the version:
60,000 characters of Java, compiled again for each commit and for each stream that reads the table.
delta-rs (1.6.6) writes none.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from k2.storage.delta_log import log_folder

_KEPT = 10  # versions; a reader that is further behind does without


def keep_checksum(stored: DeltaTable, folder: Path) -> None:
    """Write the checksum file of the version that the handle is at, and remove old ones."""
    log = log_folder(folder)
    version = stored.version()
    draft = log / f".{version:020}.crc.draft"
    draft.write_text(json.dumps(_checksum(stored), ensure_ascii=False), encoding="utf-8")
    draft.replace(log / f"{version:020}.crc")
    for old in range(max(version - _KEPT - 2, 0), version - _KEPT + 1):
        (log / f"{old:020}.crc").unlink(missing_ok=True)


def _checksum(stored: DeltaTable) -> dict[str, object]:
    sizes = pa.chunked_array(stored.get_add_actions()["size_bytes"])
    protocol, metadata = stored.protocol(), stored.metadata()
    features = {
        "readerFeatures": protocol.reader_features,
        "writerFeatures": protocol.writer_features,
    }
    texts = {"name": metadata.name, "description": metadata.description}
    return {
        "tableSizeBytes": pc.sum(sizes).as_py() or 0,
        "numFiles": len(sizes),
        "numMetadata": 1,
        "numProtocol": 1,
        "metadata": {
            "id": str(metadata.id),
            **{name: text for name, text in texts.items() if text is not None},
            "format": {"provider": "parquet", "options": {}},
            "schemaString": stored.schema().to_json(),
            "partitionColumns": metadata.partition_columns,
            "configuration": metadata.configuration,
            "createdTime": metadata.created_time,
        },
        "protocol": {
            "minReaderVersion": protocol.min_reader_version,
            "minWriterVersion": protocol.min_writer_version,
            **{name: found for name, found in features.items() if found is not None},
        },
    }
