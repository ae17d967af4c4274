package video

import "encoding/binary"

// moof reads a fragment: which track goes on for how long. Files that a browser
// records say nothing else of their duration.
func (m *movie) moof(f *file) visit {
	return func(b box) (bool, error) {
		if b.kind != "traf" {
			return true, nil
		}
		var r run
		return true, f.boxes(b.from, b.to, r.traf(f, m))
	}
}

// run is one track's part of a fragment.
type run struct {
	track    *track
	perFrame uint32
}

func (r *run) traf(f *file, m *movie) visit {
	return func(b box) (bool, error) {
		switch b.kind {
		case "tfhd":
			return true, r.tfhd(f, b, m)
		case "tfdt":
			head, err := f.read(b, 8)
			if err != nil || head == nil || r.track == nil {
				return true, err
			}
			begins := uint64(binary.BigEndian.Uint32(head[4:]))
			if head[0] == 1 {
				if head, err = f.read(b, 12); err != nil || head == nil {
					return true, err
				}
				begins = binary.BigEndian.Uint64(head[4:])
			}
			r.track.end = max(r.track.end, begins)
		case "trun":
			return true, r.trun(f, b)
		}
		return true, nil
	}
}

// The flags of tfhd and trun that say what else is there (ISO/IEC 14496-12, 8.8.7
// and 8.8.8).
const (
	tfhdBaseOffset  = 0x01
	tfhdDescription = 0x02
	tfhdDuration    = 0x08

	trunOffset      = 0x001
	trunFirstFlags  = 0x004
	trunDuration    = 0x100
	trunSize        = 0x200
	trunFlags       = 0x400
	trunComposition = 0x800
)

func flagsOf(head []byte) uint32 { return binary.BigEndian.Uint32(head) & 0xffffff }

func (r *run) tfhd(f *file, b box, m *movie) error {
	head, err := f.read(b, 8)
	if err != nil || head == nil {
		return err
	}
	if r.track = m.track(binary.BigEndian.Uint32(head[4:])); r.track == nil {
		return nil
	}
	r.perFrame = r.track.perFrame
	flags, at := flagsOf(head), 8
	if flags&tfhdBaseOffset != 0 {
		at += 8
	}
	if flags&tfhdDescription != 0 {
		at += 4
	}
	if flags&tfhdDuration != 0 {
		if head, err = f.read(b, at+4); err != nil || head == nil {
			return err
		}
		r.perFrame = binary.BigEndian.Uint32(head[at:])
	}
	return nil
}

// trun adds the durations of a run of frames to the track's end.
func (r *run) trun(f *file, b box) error {
	head, err := f.read(b, 8)
	if err != nil || head == nil || r.track == nil {
		return err
	}
	flags, count := flagsOf(head), int64(binary.BigEndian.Uint32(head[4:]))
	if flags&trunDuration == 0 {
		if count > maxFrames {
			return nil
		}
		r.add(uint64(count), uint64(count)*uint64(r.perFrame))
		return nil
	}
	at, each := int64(8), int64(4)
	for _, optional := range []uint32{trunOffset, trunFirstFlags} {
		if flags&optional != 0 {
			at += 4
		}
	}
	for _, optional := range []uint32{trunSize, trunFlags, trunComposition} {
		if flags&optional != 0 {
			each += 4
		}
	}
	if count > maxEntries || count*each > b.to-b.from-at {
		return nil
	}
	entries, err := f.bytes(b.from+at, int(count*each))
	if err != nil {
		return err
	}
	lasts := uint64(0)
	for i := int64(0); i < count; i++ {
		lasts += uint64(binary.BigEndian.Uint32(entries[i*each:]))
	}
	r.add(uint64(count), lasts)
	return nil
}

// maxFrames is more frames than any fragment has.
const maxFrames = 1 << 20

func (r *run) add(frames, lasts uint64) {
	r.track.frames += frames
	r.track.end += lasts
}
