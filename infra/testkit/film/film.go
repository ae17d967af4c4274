// Package film makes small video files, byte by byte: what a demo uploads and
// what tests probe. An MP4 or MOV of it is a real one, whose pictures are JPEGs
// and whose sound is plain samples, so that players show it; a WebM has real
// containers around frames that nobody can decode.
package film

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
)

// Film is a video to be made.
type Film struct {
	Width, Height int // of the stored picture, in pixels
	Frames        int
	FPS           int // frames a second
	Sound         bool
	// Turned says that the picture is stored lying and shown upright, as phones do.
	Turned bool
	// Said is put into the file as its description: what a transcript would be.
	Said string
	// Fragmented makes an MP4 as browsers record them: its head says no duration.
	Fragmented bool
	// Last puts the table of contents behind the pictures, as cameras do.
	Last bool
}

// Short is two seconds of an upright film with sound.
func Short() Film { return Film{Width: 72, Height: 128, Frames: 20, FPS: 10, Sound: true} }

// frame is the n-th picture.
func (f Film) frame(n int) []byte {
	picture := image.NewRGBA(image.Rect(0, 0, f.Width, f.Height))
	shade := color.RGBA{R: uint8(40 + 9*n), G: 90, B: uint8(200 - 7*n), A: 255}
	draw.Draw(picture, picture.Bounds(), image.NewUniform(shade), image.Point{}, draw.Src)
	var b bytes.Buffer
	_ = jpeg.Encode(&b, picture, &jpeg.Options{Quality: 40}) // a buffer takes everything
	return b.Bytes()
}

func (f Film) frames() [][]byte {
	all := make([][]byte, f.Frames)
	for i := range all {
		all[i] = f.frame(i)
	}
	return all
}

const soundRate = 8000 // samples a second, 16 bits, one channel

func (f Film) samples() int { return f.Frames * soundRate / f.FPS }

func (f Film) sound() []byte {
	if !f.Sound {
		return nil
	}
	pcm := make([]byte, 2*f.samples())
	for i := range f.samples() {
		if i/20%2 == 0 { // 200 Hz, softly
			binary.LittleEndian.PutUint16(pcm[2*i:], 800)
		}
	}
	return pcm
}

// box is an MP4 box around parts.
func box(kind string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(append(be32(8+len(body)), kind...), body...)
}

func be16(values ...int) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func be32(values ...int) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	return b
}
