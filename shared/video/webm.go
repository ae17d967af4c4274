package video

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strings"
)

// The ids of the elements that are read (RFC 8794, RFC 9559).
const (
	idDocType       = 0x4282
	idSegment       = 0x18538067
	idInfo          = 0x1549A966
	idScale         = 0x2AD7B1
	idDuration      = 0x4489
	idTracks        = 0x1654AE6B
	idTrack         = 0xAE
	idTrackType     = 0x83
	idCodec         = 0x86
	idFrameDuration = 0x23E383
	idVideo         = 0xE0
	idWidth         = 0xB0
	idHeight        = 0xBA
)

// sniffWebM reads the EBML header: WebM says so in its DocType, where any other
// Matroska file says matroska.
func sniffWebM(head []byte) (Type, error) {
	f := &file{r: strings.NewReader(string(head)), size: int64(len(head)), left: maxReads}
	top, err := f.element(0, f.size)
	if err != nil {
		return "", ErrUnknown
	}
	webm := false
	err = f.elements(top.from, min(top.to, f.size), func(e element) (bool, error) {
		if e.id != idDocType {
			return true, nil
		}
		text, err := f.value(e)
		webm = strings.TrimRight(string(text), "\x00") == "webm"
		return false, err
	})
	if err != nil || !webm {
		return "", ErrUnknown
	}
	return WebM, nil
}

// element is a part of an EBML file: what lies in it is [from, to).
type element struct {
	id       uint32
	from, to int64
	open     bool // of unknown size: to the end of what it lies in
}

// element reads the head of the element at offset at of what ends at end.
func (f *file) element(at, end int64) (element, error) {
	head, err := f.bytes(at, int(min(12, end-at)))
	if err != nil {
		return element{}, err
	}
	id, idLen, ok := vint(head, 4, false)
	size, sizeLen := uint64(0), 0
	if ok {
		size, sizeLen, ok = vint(head[idLen:], 8, true)
	}
	switch {
	case !ok && len(head) < 12:
		return element{}, broken("ends in its middle: it is cut off or damaged")
	case !ok:
		return element{}, broken("holds bytes that belong to no element: it is damaged")
	}
	from := at + int64(idLen+sizeLen)
	e := element{id: uint32(id), from: from, to: end}
	if size == 1<<(7*sizeLen)-1 {
		e.open = true
		return e, nil
	}
	if size > math.MaxInt64 || int64(size) > end-from {
		return element{}, broken("ends in its middle: it is cut off or damaged")
	}
	e.to = from + int64(size)
	return e, nil
}

// vint reads a number of variable length, with or without the bit that marks it.
func vint(b []byte, longest int, unmarked bool) (value uint64, length int, ok bool) {
	if len(b) == 0 || b[0] == 0 {
		return 0, 0, false
	}
	if length = bits.LeadingZeros8(b[0]) + 1; length > longest || length > len(b) {
		return 0, 0, false
	}
	value = uint64(b[0])
	if unmarked {
		value &= 1<<(8-length) - 1
	}
	for _, next := range b[1:length] {
		value = value<<8 | uint64(next)
	}
	return value, length, true
}

// elements calls each with the elements that lie in [from, to), until it says stop.
func (f *file) elements(from, to int64, each func(element) (more bool, err error)) error {
	for from < to {
		e, err := f.element(from, to)
		if err != nil {
			return err
		}
		more, err := each(e)
		if err != nil || !more {
			return err
		}
		from = e.to
	}
	return nil
}

// maxValue is the longest value that is read.
const maxValue = 64

func (f *file) value(e element) ([]byte, error) {
	if e.open || e.to-e.from > maxValue {
		return nil, broken("holds a value of impossible length: it is damaged")
	}
	return f.bytes(e.from, int(e.to-e.from))
}

func (f *file) probeWebM(info *Info) error {
	header, err := f.element(0, f.size)
	if err != nil {
		return err
	}
	segment, err := f.element(header.to, f.size)
	if err != nil {
		return err
	}
	if segment.id != idSegment {
		return broken("has no segment behind its head: it is damaged")
	}
	var m webm
	err = f.elements(segment.from, segment.to, func(e element) (bool, error) {
		switch e.id {
		case idInfo:
			m.info = true
			return !m.tracks, f.elements(e.from, e.to, m.about(f))
		case idTracks:
			m.tracks = true
			return !m.info, f.elements(e.from, e.to, m.track(f))
		}
		return !e.open, nil // behind an element of unknown size nothing can be found
	})
	if err != nil {
		return err
	}
	return m.fill(info)
}

// webm is what is known of a WebM file while it is read.
type webm struct {
	info, tracks    bool
	scale, duration float64
	picture, sound  bool
	codec           string
	width, height   uint64
	perFrame        uint64 // nanoseconds
}

// about reads the Info element.
func (m *webm) about(f *file) func(element) (bool, error) {
	return func(e element) (bool, error) {
		if e.id != idScale && e.id != idDuration {
			return true, nil
		}
		value, err := f.value(e)
		if e.id == idScale {
			m.scale = float64(unsigned(value))
		} else {
			m.duration = float(value)
		}
		return true, err
	}
}

// track reads the entries of the Tracks element.
func (m *webm) track(f *file) func(element) (bool, error) {
	return func(e element) (bool, error) {
		if e.id != idTrack {
			return true, nil
		}
		var t webm
		var kind uint64
		err := f.elements(e.from, e.to, t.entry(f, &kind))
		switch kind {
		case 1:
			if !m.picture {
				m.picture, m.codec, m.width, m.height, m.perFrame = true, t.codec, t.width, t.height, t.perFrame
			}
		case 2:
			m.sound = true
		}
		return true, err
	}
}

func (m *webm) entry(f *file, kind *uint64) func(element) (bool, error) {
	return func(e element) (bool, error) {
		switch e.id {
		case idVideo:
			return true, f.elements(e.from, e.to, m.entry(f, kind))
		case idTrackType, idCodec, idFrameDuration, idWidth, idHeight:
		default:
			return true, nil
		}
		value, err := f.value(e)
		switch e.id {
		case idTrackType:
			*kind = unsigned(value)
		case idCodec:
			m.codec = printable(value)
		case idFrameDuration:
			m.perFrame = unsigned(value)
		case idWidth:
			m.width = unsigned(value)
		case idHeight:
			m.height = unsigned(value)
		}
		return true, err
	}
}

// fill copies what is known into info.
func (m *webm) fill(info *Info) (err error) {
	if !m.picture {
		return broken("has no picture in it")
	}
	info.Width, info.Height, info.Codec, info.HasAudio = side(m.width), side(m.height), m.codec, m.sound
	if m.perFrame > 0 {
		info.FrameRate = rate(1e9, float64(m.perFrame))
	}
	if m.scale == 0 {
		m.scale = 1e6 // nanoseconds, as RFC 9559 has it where the file is silent
	}
	info.Duration, err = seconds(m.duration * m.scale / 1e9)
	return err
}

func unsigned(b []byte) (n uint64) {
	if len(b) > 8 {
		return 0
	}
	for _, next := range b {
		n = n<<8 | uint64(next)
	}
	return n
}

func float(b []byte) float64 {
	switch len(b) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}
