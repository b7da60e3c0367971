"""Open a video by its content: one local file, in a format whose reader opens nothing else.

FFmpeg finds the format from the first bytes of a file. Some formats (playlists, lists of files, scripts) make it open
other files, network addresses or devices, so only the formats below are opened, whatever the suffix of the file.
"""

import os
from typing import BinaryIO

try:
    import av
    from av.container import InputContainer
    from av.error import ArgumentError, FFmpegError, InvalidDataError
    from av.stream import Disposition
    from av.video.stream import VideoStream
except ImportError as error:  # pragma: no cover
    raise ImportError("videos are decoded by PyAV, which is not installed: pip install 'wholeframe[video]'") from error

FORMATS = (
    # Containers of cameras, phones, editors and the web.
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,live_flv,kux,asf,asf_o,ogg,mxf,gxf,nut,nuv,nsv,rm,ivr,"
    "wtv,dv,lxf,ivf,swf,yuv4mpegpipe,mpeg,mpegts,pva,ty,lmlm4,dhav,ifv,r3d,cine,ser,smjpeg,ingenient,"
    # Streams of one codec without a container.
    "h261,h263,h264,hevc,vvc,evc,av1,obu,m4v,mpegvideo,cavsvideo,avs2,avs3,dirac,vc1,vc1test,mjpeg,"
    "mjpeg_2000,dnxhd,apv,ipu,simbiosis_imx,"
    # Animated images.
    "gif,apng,flic,jpegxl_anim,"
    # Games and consoles.
    "roq,bink,smk,4xm,amv,anm,bethsoftvid,bfi,bmv,c93,cdxl,dfa,dxa,ea,film_cpk,filmstrip,gdv,hnm,idcin,"
    "ipmovie,iss,jv,mm,moflex,mods,mtv,mv,mvi,paf,pmp,psxstr,rl2,rpl,siff,smush,thp,tiertexseq,tmv,"
    "usm,vividas,vivo,vmd,wc3movie,wsvqa,xmv,yop,argo_brp"
)
"""The demuxers of FFmpeg that read video from the bytes of one file, by their names, as FFmpeg takes such a list."""

OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}

STILL = frozenset({b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1", b"miaf"})
"""Brands of a photograph in a container for video."""

NO_VIDEO = "its content is not video in a format that can be read"


def open_container(path: str | os.PathLike[str]) -> InputContainer:
    """Open the container of one file.

    Args:
        path: the file.

    Raises:
        FFmpegError: the file cannot be opened.
        ValueError: its content is not in one of `FORMATS`.
    """
    # The protocol before the path keeps a name such as `concat:a` from being read as an address.
    name = "file:" + os.path.abspath(os.fspath(path))
    with open(path, "rb") as file:
        head = file.read(12)
        if head[4:8] == b"ftyp" and head[8:12] in STILL:
            raise ValueError("it is a photograph and not a video")
        try:
            # Metadata in another encoding than UTF-8 must not keep the frames from being read.
            return av.open(name, metadata_errors="replace", container_options=dict(OPTIONS))
        except (ArgumentError, InvalidDataError) as error:
            # The suffix may have suggested a format that the content does not have.
            found, refused = _format_of(file), error
    if found is None and isinstance(refused, InvalidDataError):
        raise refused
    if found is None:
        raise ValueError(NO_VIDEO) from refused
    return av.open(name, format=found, metadata_errors="replace", container_options=dict(OPTIONS))


def _format_of(file: BinaryIO) -> str | None:
    """The name of the format by content alone, without the suffix; None if it is not one of `FORMATS`."""
    file.seek(0)
    try:
        with av.open(_Nameless(file), metadata_errors="replace", container_options=dict(OPTIONS)) as container:
            return container.format.name
    except FFmpegError:
        return None


class _Nameless:
    """The bytes of a file without its name."""

    def __init__(self, file: BinaryIO):
        self.file, self.read, self.tell = file, file.read, file.tell

    def seek(self, offset: int, whence: int) -> int:
        try:
            return self.file.seek(offset, whence)
        except (OSError, ValueError):  # FFmpeg takes -1 for a failure; PyAV prints an exception here, and goes on.
            return -1


def video_stream(container: InputContainer) -> VideoStream:
    """The first video stream of a container that is not the picture on a cover.

    Raises:
        ValueError: there is none, or its codec has no decoder.
    """
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams})
        raise ValueError(f"it has {' and '.join(kinds) or 'nothing'}, but no video")
    if streams[0].codec_context is None:
        raise ValueError("there is no decoder for the codec of its video")
    return streams[0]


def is_video_file(path: str | os.PathLike[str]) -> bool:
    """Whether the content of a file is video, whatever its suffix. Reads its head alone, and no frame."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) == 0:
            return False
        with open_container(path) as container:
            return video_stream(container).codec_context.width > 0
    except (FFmpegError, OSError, ValueError):
        return False
