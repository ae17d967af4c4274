package video

import (
	"encoding/binary"
	"slices"
	"strings"
)

// brands are those of ISO base media files that hold moving pictures (ISO/IEC
// 14496-12 and the registry at mp4ra.org); stills (heic, avif) and sound (M4A)
// use the same boxes.
var brands = []string{
	"isom", "iso2", "iso3", "iso4", "iso5", "iso6", "iso7", "iso8", "iso9", "mp41", "mp42", "mp71", "avc1", "M4V ", "M4VH", "M4VP",
	"MSNV", "dash", "cmfc", "cmf2", "3gp4", "3gp5", "3gp6", "f4v ", "hvc1", "hev1", "av01",
}

var notVideo = []string{"M4A ", "M4B ", "M4P ", "heic", "heix", "mif1", "msf1", "avif", "avis", "crx "}

// sniffMP4 reads the first box, which has to be ftyp.
func sniffMP4(head []byte) (Type, error) {
	if len(head) < 16 || string(head[4:8]) != "ftyp" {
		return "", ErrUnknown
	}
	size := int(binary.BigEndian.Uint32(head))
	if size < 16 || size > SniffLen || size%4 != 0 {
		return "", ErrUnknown
	}
	head = head[:min(size, len(head))]
	major := string(head[8:12])
	if major == "qt  " {
		return MOV, nil
	}
	if slices.Contains(notVideo, major) {
		return "", ErrUnknown
	}
	for at := 8; at+4 <= len(head); at += 4 {
		if at != 12 && slices.Contains(brands, string(head[at:at+4])) { // at 12 is the minor version
			return MP4, nil
		}
	}
	return "", ErrUnknown
}

// box is a part of an ISO base media file: what lies in it is [from, to).
type box struct {
	kind     string
	from, to int64
}

// boxes calls each with the boxes that lie in [from, to), until it says stop.
func (f *file) boxes(from, to int64, each func(box) (more bool, err error)) error {
	for from < to {
		if to-from < 8 {
			return nil // padding: some writers end a box with four bytes of nothing
		}
		head, err := f.bytes(from, 8)
		if err != nil {
			return err
		}
		length, header := int64(binary.BigEndian.Uint32(head)), int64(8)
		switch length {
		case 0: // to the end
			length = to - from
		case 1:
			large, err := f.bytes(from+8, 8)
			if err != nil {
				return err
			}
			header = 16
			if length = int64(binary.BigEndian.Uint64(large)); length < 0 {
				length = 0
			}
		}
		if length < header || length > to-from {
			return broken("ends in its middle: it is cut off or damaged")
		}
		more, err := each(box{kind: string(head[4:8]), from: from + header, to: from + length})
		if err != nil || !more {
			return err
		}
		from += length
	}
	return nil
}

// read returns the first n bytes of a box, or nil where it is shorter.
func (f *file) read(b box, n int) ([]byte, error) {
	if b.to-b.from < int64(n) {
		return nil, nil
	}
	return f.bytes(b.from, n)
}

// movie is what is known of an ISO base media file while it is read.
type movie struct {
	seconds    float64 // as mvhd or mehd has it
	scale      uint32  // units a second of the movie
	tracks     []*track
	fragmented bool
}

type track struct {
	id            uint32
	handler       string
	codec         string
	width, height uint64
	scale         uint32  // units a second
	seconds       float64 // as mdhd has it
	frames        uint64
	perFrame      uint32 // units, where a fragment does not say
	end           uint64 // of the last fragment, in units
}

func (f *file) probeMP4(info *Info) error {
	var m movie
	found := false
	err := f.boxes(0, f.size, func(b box) (bool, error) {
		switch b.kind {
		case "moov":
			if found {
				return false, broken("has two tables of contents (moov)")
			}
			found = true
			err := f.boxes(b.from, b.to, m.moov(f))
			return !m.fragmented || m.seconds == 0, err // what is cut off behind it is to be noticed
		case "moof":
			return true, f.boxes(b.from, b.to, m.moof(f))
		}
		return true, nil
	})
	switch {
	case err != nil:
		return err
	case !found:
		return broken("has no table of contents (moov): it is cut off or was never finished")
	}
	return m.fill(info)
}

// fill copies what is known into info.
func (m *movie) fill(info *Info) (err error) {
	secs := m.seconds
	var picture *track
	for _, t := range m.tracks {
		switch t.handler {
		case "vide":
			if picture == nil {
				picture = t
			}
		case "soun":
			info.HasAudio = true
		}
		if t.scale > 0 && m.seconds == 0 {
			secs = max(secs, t.seconds, float64(t.end)/float64(t.scale))
		}
	}
	if picture == nil {
		return broken("has no picture in it")
	}
	info.Width, info.Height, info.Codec = side(picture.width), side(picture.height), picture.codec
	if picture.seconds > 0 {
		info.FrameRate = rate(float64(picture.frames), picture.seconds)
	} else if picture.scale > 0 && picture.end > 0 {
		info.FrameRate = rate(float64(picture.frames), float64(picture.end)/float64(picture.scale))
	}
	info.Duration, err = seconds(secs)
	return err
}

// printable keeps a four-letter code that came from outside readable.
func printable(code []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(code)))
}

// clock reads a version, a scale and a duration as mvhd and mdhd have them; the
// greatest duration stands for one that is not known.
func clock(b []byte, long bool) (scale uint32, secs float64) {
	var duration uint64
	if long {
		scale, duration = binary.BigEndian.Uint32(b[20:]), binary.BigEndian.Uint64(b[24:])
		if duration == 1<<64-1 {
			duration = 0
		}
	} else {
		scale = binary.BigEndian.Uint32(b[12:])
		if d := binary.BigEndian.Uint32(b[16:]); d != 1<<32-1 {
			duration = uint64(d)
		}
	}
	if scale == 0 {
		return 0, 0
	}
	return scale, float64(duration) / float64(scale)
}
