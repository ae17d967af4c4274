package film

import "bytes"

// MP4 is the film as an MP4 file.
func (f Film) MP4() []byte { return f.file("isom", "mp4v") }

// MOV is the film as a QuickTime file.
func (f Film) MOV() []byte { return f.file("qt  ", "jpeg") }

func (f Film) file(brand, codec string) []byte {
	ftyp := box("ftyp", []byte(brand), be32(512), []byte(brand), []byte(map[string]string{"isom": "mp41", "qt  ": "qt  "}[brand]))
	frames, sound := f.frames(), f.sound()
	media := append(bytes.Join(frames, nil), sound...)
	if f.Fragmented {
		return bytes.Join([][]byte{ftyp, f.moov(codec, frames, 0), f.moof(frames), box("mdat", media)}, nil)
	}
	mdat := box("mdat", media)
	if f.Last {
		return bytes.Join([][]byte{ftyp, mdat, f.moov(codec, frames, len(ftyp)+8)}, nil)
	}
	behind := len(ftyp) + len(f.moov(codec, frames, 0)) + 8
	return bytes.Join([][]byte{ftyp, f.moov(codec, frames, behind), mdat}, nil)
}

const (
	movieScale  = 1000
	identity    = 0x10000
	perFrame    = 100 // units of a picture
	pictureID   = 1
	soundID     = 2
	fullPicture = 0x40000000
)

// moov is the table of contents of media that begins at offset.
func (f Film) moov(codec string, frames [][]byte, offset int) []byte {
	lasts := f.Frames * movieScale / f.FPS
	if f.Fragmented {
		lasts = 0
	}
	mvhd := box("mvhd", be32(0, 0, 0, movieScale, lasts, identity), be16(0x100), make([]byte, 10), f.matrix(false), make([]byte, 24), be32(3))
	parts := [][]byte{mvhd, f.picture(codec, frames, offset, lasts)}
	if f.Sound && !f.Fragmented {
		pictures := 0
		for _, frame := range frames {
			pictures += len(frame)
		}
		parts = append(parts, f.soundTrack(offset+pictures, lasts))
	}
	if f.Fragmented {
		parts = append(parts, box("mvex", box("trex", be32(0, pictureID, 1, perFrame, 0, 0))))
	}
	if f.Said != "" {
		said := append(be16(len(f.Said), 0x15c7), f.Said...)
		parts = append(parts, box("udta", box("\xa9des", said)))
	}
	return box("moov", parts...)
}

func (f Film) matrix(turned bool) []byte {
	if turned {
		return be32(0, identity, 0, -identity, 0, 0, f.Height<<16, 0, fullPicture)
	}
	return be32(identity, 0, 0, 0, identity, 0, 0, 0, fullPicture)
}

func (f Film) picture(codec string, frames [][]byte, offset, lasts int) []byte {
	entry := box(codec, make([]byte, 6), be16(1), make([]byte, 16), be16(f.Width, f.Height), be32(72<<16, 72<<16, 0), be16(1),
		make([]byte, 32), be16(24, -1), esds(codec))
	var sizes []byte
	for _, frame := range frames {
		sizes = append(sizes, be32(len(frame))...)
	}
	runs, count := be32(0, 1, f.Frames, perFrame), f.Frames
	if f.Fragmented {
		runs, sizes, count = be32(0, 0), nil, 0
	}
	tables := [][]byte{
		box("stsd", be32(0, 1), entry), box("stts", runs), box("stsz", be32(0, 0, count), sizes),
		box("stsc", be32(0, 1, 1, f.Frames, 1)), box("stco", be32(0, 1, offset)),
	}
	units := f.Frames * perFrame
	if f.Fragmented {
		units = 0
	}
	return box("trak",
		box("tkhd", be32(7, 0, 0, pictureID, 0, lasts, 0, 0), be16(0, 0, 0, 0), f.matrix(f.Turned), be32(f.Width<<16, f.Height<<16)),
		media("vide", f.FPS*perFrame, units, box("vmhd", be32(1, 0, 0)), tables))
}

// esds says, in an MP4, that the pictures are JPEGs (ISO/IEC 14496-1, 7.2.6).
func esds(codec string) []byte {
	if codec != "mp4v" {
		return nil
	}
	config := append([]byte{0x04, 13, 0x6c, 0x11, 0, 0, 0}, be32(0, 0)...)
	stream := append([]byte{0x03, byte(3 + len(config) + 3), 0, 1, 0}, config...)
	return box("esds", be32(0), stream, []byte{0x06, 1, 2})
}

func (f Film) soundTrack(offset, lasts int) []byte {
	entry := box("sowt", make([]byte, 6), be16(1), make([]byte, 8), be16(1, 16, 0, 0), be32(soundRate<<16))
	tables := [][]byte{
		box("stsd", be32(0, 1), entry), box("stts", be32(0, 1, f.samples(), 1)), box("stsz", be32(0, 2, f.samples())),
		box("stsc", be32(0, 1, 1, f.samples(), 1)), box("stco", be32(0, 1, offset)),
	}
	return box("trak",
		box("tkhd", be32(7, 0, 0, soundID, 0, lasts, 0, 0), be16(0, 0, 0x100, 0), f.matrix(false), be32(0, 0)),
		media("soun", soundRate, f.samples(), box("smhd", be32(0, 0)), tables))
}

func media(handler string, scale, units int, head []byte, tables [][]byte) []byte {
	return box("mdia",
		box("mdhd", be32(0, 0, 0, scale, units), be16(0x55c4, 0)),
		box("hdlr", be32(0, 0), []byte(handler), be32(0, 0, 0), []byte{0}),
		box("minf", head, box("dinf", box("dref", be32(0, 1), box("url ", be32(1)))), box("stbl", tables...)))
}

// moof is the one fragment that holds all pictures.
func (f Film) moof(frames [][]byte) []byte {
	const dataOffset, baseIsMoof, haveOffset, haveSizes = 1, 0x20000, 0x1, 0x200
	build := func(offset int) []byte {
		var sizes []byte
		for _, frame := range frames {
			sizes = append(sizes, be32(len(frame))...)
		}
		return box("moof", box("mfhd", be32(0, 1)), box("traf",
			box("tfhd", be32(baseIsMoof, pictureID)), box("tfdt", be32(0, 0)),
			box("trun", be32(haveOffset|haveSizes, f.Frames, offset), sizes)))
	}
	return build(len(build(dataOffset)) + 8)
}
