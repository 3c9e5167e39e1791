"""Pictures, documents and sounds from files.

from dipeo.media import image_from_file
"""

from dipeo.domain.parts import AudioPart, DocumentPart, ImageDetail, ImagePart
from dipeo.infrastructure.documents.media_file import (
    MAX_FILE_BYTES,
    audio_from_file,
    document_from_file,
    image_from_file,
    part_from_file,
)

__all__ = [
    "MAX_FILE_BYTES",
    "AudioPart",
    "DocumentPart",
    "ImageDetail",
    "ImagePart",
    "audio_from_file",
    "document_from_file",
    "image_from_file",
    "part_from_file",
]
