"""The end of a video file, and the missing part of the length that its header gives."""

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from wholeframe.data.video.decode import average_rate, seek, tick


def end_of(container: InputContainer, stream: VideoStream) -> float:
    """Where the last packet ends: searched near the announced end, and if nothing is there, from the beginning."""
    for clock in (_announced(container, stream), 0.0):
        end = -np.inf
        try:
            seek(container, stream, clock)
            for packet in container.demux(stream):
                end = max(end, _ending(packet, stream))
        except FFmpegError:  # In a truncated file the packets before the error count.
            pass
        if end > -np.inf:
            return end
    return -np.inf


def _ending(packet: av.Packet, stream: VideoStream) -> float:
    if packet.pts is None or packet.is_corrupt or not packet.size:
        return -np.inf
    return (packet.pts + (packet.duration or 0)) * tick(stream)


def _announced(container: InputContainer, stream: VideoStream) -> float:
    """The end that the header gives for the video, or else for the whole file, whose sound may be longer."""
    begin = (stream.start_time or 0) * tick(stream)
    if stream.duration:
        return begin + stream.duration * tick(stream)
    return begin + (container.duration or 0) / av.time_base


def missing_seconds(container: InputContainer, stream: VideoStream, end: float) -> float:
    """Seconds that the header announces, by length or number of frames, and that the file does not hold."""
    if not stream.duration and len(container.streams) > 1:
        return 0.0  # The header gives only the length of video and sound together.
    # For a truncated AVI, FFmpeg corrects the length, but not the number of frames.
    counted = (stream.start_time or 0) * tick(stream) + stream.frames / average_rate(stream)
    lost = max(_announced(container, stream), counted) - end
    return lost if lost > 0.5 else 0.0
