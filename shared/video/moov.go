package video

import "encoding/binary"

// visit is what is done with each box of another.
type visit = func(box) (more bool, err error)

// moov reads the boxes of the table of contents.
func (m *movie) moov(f *file) visit {
	return func(b box) (bool, error) {
		switch b.kind {
		case "mvhd":
			return true, f.clock(b, func(scale uint32, secs float64) { m.scale, m.seconds = scale, secs })
		case "trak":
			t := &track{}
			m.tracks = append(m.tracks, t)
			return true, f.boxes(b.from, b.to, t.trak(f))
		case "mvex":
			m.fragmented = true
			return true, f.boxes(b.from, b.to, m.mvex(f))
		}
		return true, nil
	}
}

// clock reads an mvhd or mdhd.
func (f *file) clock(b box, set func(scale uint32, secs float64)) error {
	head, err := f.read(b, 20)
	if err != nil || head == nil {
		return err
	}
	long := head[0] == 1
	if long {
		if head, err = f.read(b, 32); err != nil || head == nil {
			return err
		}
	}
	set(clock(head, long))
	return nil
}

// trak reads the boxes of a track.
func (t *track) trak(f *file) visit {
	return func(b box) (bool, error) {
		switch b.kind {
		case "tkhd":
			return true, t.tkhd(f, b)
		case "mdia", "minf", "stbl":
			return true, f.boxes(b.from, b.to, t.trak(f))
		case "mdhd":
			return true, f.clock(b, func(scale uint32, secs float64) { t.scale, t.seconds = scale, secs })
		case "hdlr":
			head, err := f.read(b, 12)
			if head != nil && t.handler == "" { // QuickTime has a second one, of the data
				t.handler = string(head[8:12])
			}
			return true, err
		case "stsd":
			head, err := f.read(b, 16)
			if head != nil {
				t.codec = printable(head[12:16])
			}
			return true, err
		case "stts":
			return true, t.stts(f, b)
		}
		return true, nil
	}
}

// tkhd reads a track's id and the size of its picture, turned as its matrix says.
func (t *track) tkhd(f *file, b box) error {
	version, err := f.read(b, 1)
	if err != nil || version == nil {
		return err
	}
	id, matrix := 12, 40
	if version[0] == 1 {
		id, matrix = 20, 52
	}
	head, err := f.read(b, matrix+44)
	if err != nil || head == nil {
		return err
	}
	t.id = binary.BigEndian.Uint32(head[id:])
	at := func(i int) int32 { return int32(binary.BigEndian.Uint32(head[matrix+4*i:])) }
	t.width, t.height = uint64(binary.BigEndian.Uint32(head[matrix+36:]))>>16, uint64(binary.BigEndian.Uint32(head[matrix+40:]))>>16
	if at(0) == 0 && at(4) == 0 && at(1) != 0 && at(3) != 0 { // a quarter turn: a phone held upright
		t.width, t.height = t.height, t.width
	}
	return nil
}

// maxEntries is how many runs of frames are counted; more is a frame rate that
// changes all the time.
const maxEntries = 1 << 16

// stts counts the track's frames.
func (t *track) stts(f *file, b box) error {
	head, err := f.read(b, 8)
	if err != nil || head == nil {
		return err
	}
	entries := int64(binary.BigEndian.Uint32(head[4:]))
	if entries > maxEntries || entries > (b.to-b.from-8)/8 {
		return nil
	}
	runs, err := f.bytes(b.from+8, int(entries)*8)
	if err != nil {
		return err
	}
	for at := 0; at < len(runs); at += 8 {
		t.frames += uint64(binary.BigEndian.Uint32(runs[at:]))
	}
	return nil
}

// mvex reads what fragments have in common.
func (m *movie) mvex(f *file) visit {
	return func(b box) (bool, error) {
		switch b.kind {
		case "mehd":
			head, err := f.read(b, 8)
			if err != nil || head == nil || m.scale == 0 {
				return true, err
			}
			duration := uint64(binary.BigEndian.Uint32(head[4:]))
			if head[0] == 1 {
				if head, err = f.read(b, 12); err != nil || head == nil {
					return true, err
				}
				duration = binary.BigEndian.Uint64(head[4:])
			}
			if m.seconds == 0 {
				m.seconds = float64(duration) / float64(m.scale)
			}
		case "trex":
			head, err := f.read(b, 16)
			if err != nil || head == nil {
				return true, err
			}
			if t := m.track(binary.BigEndian.Uint32(head[4:])); t != nil {
				t.perFrame = binary.BigEndian.Uint32(head[12:])
			}
		}
		return true, nil
	}
}

func (m *movie) track(id uint32) *track {
	for _, t := range m.tracks {
		if t.id == id {
			return t
		}
	}
	return nil
}
