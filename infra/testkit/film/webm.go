package film

import (
	"encoding/binary"
	"math"
)

// WebM is the film as a WebM file.
func (f Film) WebM() []byte {
	seconds := float64(f.Frames) / float64(f.FPS)
	about := [][]byte{element(0x2AD7B1, []byte{0x0f, 0x42, 0x40}), element(0x4D80, []byte("film"))}
	if !f.Fragmented { // a browser's recording does not say how long it is
		about = append(about, element(0x4489, binary.BigEndian.AppendUint64(nil, math.Float64bits(seconds*1000))))
	}
	if f.Said != "" {
		about = append(about, element(0x7BA9, []byte(f.Said)))
	}
	tracks := [][]byte{element(0xAE,
		element(0xD7, []byte{1}), element(0x73C5, []byte{1}), element(0x83, []byte{1}), element(0x86, []byte("V_VP8")),
		element(0x23E383, be32(1_000_000_000/f.FPS)), element(0xE0, element(0xB0, be16(f.Width)), element(0xBA, be16(f.Height))))}
	if f.Sound {
		tracks = append(tracks, element(0xAE,
			element(0xD7, []byte{2}), element(0x73C5, []byte{2}), element(0x83, []byte{2}), element(0x86, []byte("A_OPUS"))))
	}
	blocks := [][]byte{element(0xE7, []byte{0})}
	for i := range f.Frames {
		blocks = append(blocks, element(0xA3, []byte{0x81}, be16(i*1000/f.FPS), []byte{0x80}, f.frame(i)))
	}
	return append(
		element(0x1A45DFA3, element(0x4286, []byte{1}), element(0x4282, []byte("webm")), element(0x4287, []byte{4}), element(0x4285, []byte{2})),
		element(0x18538067, element(0x1549A966, about...), element(0x1654AE6B, tracks...), element(0x1F43B675, blocks...))...)
}

// element is an EBML element around parts; its size takes eight bytes.
func element(id uint32, parts ...[]byte) []byte {
	var b []byte
	for shift := 24; shift >= 0; shift -= 8 {
		if id>>shift != 0 {
			b = append(b, byte(id>>shift))
		}
	}
	size := 0
	for _, part := range parts {
		size += len(part)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(size)|1<<56)
	for _, part := range parts {
		b = append(b, part...)
	}
	return b
}
