// Package video reads what a video file says of itself, MP4, MOV or WebM: what it
// is, how long it plays, how large its picture stands. It reads a few kilobytes
// through an io.ReaderAt, whatever the file's size, and believes no length in it.
package video

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// Type is a video's MIME type.
type Type string

// The types that are understood.
const (
	MP4  Type = "video/mp4"
	MOV  Type = "video/quicktime"
	WebM Type = "video/webm"
)

// Extension is what a file of that type is usually called, with the dot.
func (t Type) Extension() string {
	switch t {
	case MP4:
		return ".mp4"
	case MOV:
		return ".mov"
	}
	return ".webm"
}

// SniffLen is how much of a file's beginning tells its type.
const SniffLen = 4096

// Info is what a video's container says.
type Info struct {
	Type     Type
	Duration time.Duration // above 0
	// Width and Height are of the picture as it is shown, in pixels; 0 where the
	// file does not say.
	Width, Height int
	// FrameRate is in frames a second; 0 where the file does not say.
	FrameRate float64
	HasAudio  bool
	// Codec is the picture's, as the container names it, such as avc1 or V_VP9.
	Codec string
}

// Broken is a file that is not what it should be. Its text ends a sentence that
// begins with "the video".
type Broken struct{ Reason string }

// Error returns the reason.
func (b *Broken) Error() string { return b.Reason }

func broken(reason string) error { return &Broken{reason} }

// ErrUnknown is returned for what is none of the types.
var ErrUnknown = errors.New("is not an MP4, MOV or WebM file")

// Sniff tells a file's type by the first SniffLen bytes of its content, or all of
// a shorter one. What the file is called or declared to be counts nothing.
func Sniff(head []byte) (Type, error) {
	if len(head) >= 4 && string(head[:4]) == "\x1a\x45\xdf\xa3" {
		return sniffWebM(head)
	}
	return sniffMP4(head)
}

// Probe reads what the file of size bytes says of itself. Its error is ErrUnknown,
// a *Broken, or what r failed with.
func Probe(r io.ReaderAt, size int64) (Info, error) {
	f := &file{r: r, size: size, left: maxReads}
	head, err := f.bytes(0, int(min(SniffLen, size)))
	if err != nil {
		return Info{}, err
	}
	kind, err := Sniff(head)
	if err != nil {
		return Info{}, err
	}
	info := Info{Type: kind}
	if kind == WebM {
		err = f.probeWebM(&info)
	} else {
		err = f.probeMP4(&info)
	}
	if err != nil {
		return Info{}, err
	}
	if info.Duration <= 0 {
		return Info{}, broken("does not say how long it plays; writing it anew does: ffmpeg -i in -c copy out")
	}
	return info, nil
}

// maxReads bounds how many boxes or elements of a file are looked at, so that a
// hostile one cannot be walked for long.
const maxReads = 20_000

// file is what is being probed.
type file struct {
	r    io.ReaderAt
	size int64
	left int
}

// bytes returns exactly n bytes from offset at.
func (f *file) bytes(at int64, n int) ([]byte, error) {
	if f.left--; f.left < 0 {
		return nil, broken("is cut into more parts than any real one")
	}
	if at < 0 || n < 0 || at > f.size-int64(n) {
		return nil, broken("ends in its middle: it is cut off or damaged")
	}
	buf := make([]byte, n)
	if got, err := f.r.ReadAt(buf, at); got < n {
		if errors.Is(err, io.EOF) {
			return nil, broken("ends in its middle: it is cut off or damaged")
		}
		return nil, fmt.Errorf("read the video: %w", err)
	}
	return buf, nil
}

// maxDuration is far beyond any video, and within what a time.Duration holds.
const maxDuration = 1000 * time.Hour

// seconds returns a duration of s seconds, which a file may claim to be anything.
func seconds(s float64) (time.Duration, error) {
	if math.IsNaN(s) || s < 0 || s > maxDuration.Seconds() {
		return 0, broken("says that it plays impossibly long")
	}
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond), nil
}

// rate returns frames a second, 0 where they make no sense.
func rate(frames, secs float64) float64 {
	fps := math.Round(frames/secs*1000) / 1000
	if math.IsNaN(fps) || fps < 0.1 || fps > 1000 {
		return 0
	}
	return fps
}

// maxSide is the longest side of a picture that is believed, in pixels.
const maxSide = 1 << 16

func side(n uint64) int {
	if n > maxSide {
		return 0
	}
	return int(n)
}
