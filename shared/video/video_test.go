package video_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/infra/testkit/film"
	"github.com/geminivideo/geminivideo/shared/video"
)

func probe(t *testing.T, data []byte) video.Info {
	t.Helper()
	info, err := video.Probe(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatalf("the video %v", err)
	}
	return info
}

func TestEveryKindOfFileSaysWhatItIs(t *testing.T) {
	t.Parallel()
	short, silent, turned, browser, camera := film.Short(), film.Short(), film.Short(), film.Short(), film.Short()
	silent.Sound = false
	turned.Turned, turned.Width, turned.Height = true, 128, 72
	browser.Fragmented = true
	camera.Last = true
	upright := video.Info{Duration: 2 * time.Second, Width: 72, Height: 128, FrameRate: 10, HasAudio: true}
	as := func(kind video.Type, codec string, sound bool) video.Info {
		info := upright
		info.Type, info.Codec, info.HasAudio = kind, codec, sound
		return info
	}
	for name, c := range map[string]struct {
		data []byte
		want video.Info
	}{
		"mp4":                    {short.MP4(), as(video.MP4, "mp4v", true)},
		"mp4 without sound":      {silent.MP4(), as(video.MP4, "mp4v", false)},
		"mp4 of a phone":         {turned.MP4(), as(video.MP4, "mp4v", true)},
		"mp4 of a browser":       {browser.MP4(), as(video.MP4, "mp4v", false)},
		"mp4 of a camera":        {camera.MP4(), as(video.MP4, "mp4v", true)},
		"mov":                    {short.MOV(), as(video.MOV, "jpeg", true)},
		"webm":                   {short.WebM(), as(video.WebM, "V_VP8", true)},
		"webm without sound":     {silent.WebM(), as(video.WebM, "V_VP8", false)},
		"mp4 with bytes behind":  {append(short.MP4(), 0, 0, 0), as(video.MP4, "mp4v", true)},
		"mp4 with unknown boxes": {append(short.MP4(), "\x00\x00\x00\x0cuuidxxxx"...), as(video.MP4, "mp4v", true)},
	} {
		if diff := cmp.Diff(c.want, probe(t, c.data)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWhatIsNoVideoIsNotTakenForOne(t *testing.T) {
	t.Parallel()
	heic := film.Short().MP4()
	copy(heic[8:], "heic")
	matroska := bytes.Replace(film.Short().WebM(), []byte("webm"), []byte("mkva"), 1)
	for name, data := range map[string][]byte{
		"nothing": {}, "one byte": {0}, "text": []byte("ftyp is what I say I am, and no more"), "a picture": []byte("\x89PNG\r\n\x1a\n0000000000000000"),
		"a still": heic, "matroska": matroska, "a page": []byte("<html><script>alert(1)</script></html>"), "an EBML head alone": []byte("\x1a\x45\xdf\xa3"),
		"a playlist": []byte("#EXTM3U\n#EXT-X-VERSION:3\nfile:///etc/passwd"),
	} {
		if _, err := video.Probe(bytes.NewReader(data), int64(len(data))); !errors.Is(err, video.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABrokenFileSaysWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	mp4, webm := film.Short().MP4(), film.Short().WebM()
	silent := film.Short()
	silent.Fragmented = true
	for want, data := range map[string][]byte{
		"has no table of contents": box("ftyp", "isom\x00\x00\x02\x00isommp41"),
		"ends in its middle":       mp4[:len(mp4)-50],
		"ends in its":              mp4[:60],
		"has two tables":           append(append([]byte{}, mp4...), box("moov", "")...),
		"has no picture in it":     bytes.Replace(mp4, []byte("vide"), []byte("text"), 1),
		"impossibly long":          longer(mp4),
		"does not say how long":    silent.WebM(),
		"has no segment":           bytes.Replace(webm, []byte("\x18\x53\x80\x67"), []byte("\x18\x53\x80\x66"), 1),
		"ends in":                  webm[:80],
		"ends in its middle: it":   webm[:len(webm)-1],
	} {
		_, err := video.Probe(bytes.NewReader(data), int64(len(data)))
		var broken *video.Broken
		if !errors.As(err, &broken) || !strings.Contains(broken.Reason, want) {
			t.Errorf("%v, want it to say %q", err, want)
		}
	}
}

// box is an MP4 box.
func box(kind, body string) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

// longer says in the head that the film plays for 49 days.
func longer(mp4 []byte) []byte {
	at := bytes.Index(mp4, []byte("mvhd")) + 20
	data := append([]byte{}, mp4...)
	binary.BigEndian.PutUint32(data[at:], 1<<32-2)
	return data
}

func TestAReaderThatFailsIsNotTheVideosFault(t *testing.T) {
	t.Parallel()
	mp4 := film.Short().MP4()
	_, err := video.Probe(failing{bytes.NewReader(mp4), 300}, int64(len(mp4)))
	var broken *video.Broken
	if err == nil || errors.As(err, &broken) || errors.Is(err, video.ErrUnknown) || !errors.Is(err, errOffline) {
		t.Errorf("%v", err)
	}
}

var errOffline = errors.New("offline")

// failing fails beyond an offset.
type failing struct {
	io.ReaderAt
	from int64
}

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	if at >= f.from {
		return 0, errOffline
	}
	return f.ReaderAt.ReadAt(p, at)
}

func TestAHostileFileIsNotWalkedForLong(t *testing.T) {
	t.Parallel()
	many := box("ftyp", "isom\x00\x00\x02\x00isommp41")
	for range 30_000 {
		many = append(many, box("free", "")...)
	}
	deep := ""
	for range 2_000 {
		deep = string(box("mdia", deep))
	}
	nested := append(box("ftyp", "isom\x00\x00\x02\x00isommp41"), box("moov", string(box("trak", deep)))...)
	for name, data := range map[string][]byte{"many": many, "nested": nested} {
		counted := &counting{r: bytes.NewReader(data)}
		if _, err := video.Probe(counted, int64(len(data))); err == nil {
			t.Errorf("%s: it is a video", name)
		}
		if counted.n > 20_000 {
			t.Errorf("%s: read %d times", name, counted.n)
		}
	}
}

type counting struct {
	r io.ReaderAt
	n int
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	c.n++
	return c.r.ReadAt(p, at)
}

func FuzzProbe(f *testing.F) {
	small := film.Film{Width: 8, Height: 8, Frames: 1, FPS: 1, Sound: false}
	browser, turned := small, small
	browser.Fragmented, turned.Turned = true, true
	for _, seed := range [][]byte{small.MP4(), small.MOV(), small.WebM(), browser.MP4(), browser.WebM(), turned.MP4()} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := video.Probe(bytes.NewReader(data), int64(len(data)))
		var broken *video.Broken
		switch {
		case err != nil && !errors.Is(err, video.ErrUnknown) && !errors.As(err, &broken):
			t.Errorf("a file's own fault is %v", err)
		case err == nil && (info.Duration <= 0 || info.Duration > 1000*time.Hour || info.Width < 0 || info.Height < 0 || info.FrameRate < 0):
			t.Errorf("impossible: %+v", info)
		}
	})
}
