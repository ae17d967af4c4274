package spool_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/spool"
)

// noise cannot be compressed.
func noise(n int) []byte {
	source := rand.NewChaCha8([32]byte{1})
	data := make([]byte, n)
	_, _ = source.Read(data)
	return data
}

func TestAnUploadIsReadBackAsItCameAnyNumberOfTimes(t *testing.T) {
	t.Parallel()
	room := spool.NewRoom(64 << 20)
	for name, data := range map[string][]byte{
		"nothing": {}, "a byte": {7}, "noise": noise(3<<20 + 17), "a report": []byte(strings.Repeat("a1,2026-11-30,1000,10,12.50\n", 50_000)),
		"one chunk": noise(256 << 10),
	} {
		f, err := room.Read("a", iotest.HalfReader(bytes.NewReader(data)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 2 {
			if back, err := io.ReadAll(f.Open()); err != nil || !bytes.Equal(back, data) {
				t.Errorf("%s: %d of %d bytes came back, %v", name, len(back), len(data), err)
			}
		}
		f.Close()
		f.Close()
	}
	if n := room.Taken(); n != 0 {
		t.Errorf("%d bytes are still taken", n)
	}
}

func TestAReportTakesAFractionOfItsSize(t *testing.T) {
	t.Parallel()
	room := spool.NewRoom(64 << 20)
	var report strings.Builder
	for i := range 50_000 {
		report.WriteString("120210000001234567,Ad number ")
		report.WriteByte(byte('0' + i%10))
		report.WriteString(",1203001234,Campaign 7,12345,99,123.45\n")
	}
	f, err := room.Read("a", strings.NewReader(report.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if taken := room.Taken(); taken == 0 || taken > int64(report.Len())/6 {
		t.Errorf("a report of %d bytes takes %d", report.Len(), taken)
	}
}

func TestWhatUploadsTakeIsBoundedAndForOneTenantByHalf(t *testing.T) {
	t.Parallel()
	room := spool.NewRoom(8 << 20)
	read := func(tenant string, size int) (*spool.File, error) {
		return room.Read(tenant, bytes.NewReader(noise(size)))
	}
	if _, err := read("a", 5<<20); !errors.Is(err, spool.ErrTooLarge) {
		t.Errorf("more than half at once: %v", err)
	}
	first, err := read("a", 3<<20)
	if err != nil {
		t.Fatal(err)
	}
	var refused *fault.Error
	if _, err := read("a", 2<<20); !errors.As(err, &refused) || refused.Kind != fault.TooMany || refused.RetryAfter == 0 {
		t.Errorf("more than its half together: %v", err)
	}
	if _, err := read("b", 4<<20); err != nil {
		t.Errorf("another tenant's half: %v", err)
	}
	if _, err := read("c", 3<<20); !errors.As(err, &refused) || refused.Kind != fault.Unavailable || refused.RetryAfter == 0 {
		t.Errorf("a third, with no room left: %v", err)
	}
	if taken := room.Taken(); taken != 7<<20 {
		t.Errorf("%d bytes are taken", taken)
	}
	first.Close()
	if _, err := read("c", 3<<20); err != nil {
		t.Errorf("once there is room again: %v", err)
	}
}

func TestAnUploadThatBreaksOffTakesNoRoom(t *testing.T) {
	t.Parallel()
	room := spool.NewRoom(8 << 20)
	broken := errors.New("cut off")
	if _, err := room.Read("a", io.MultiReader(bytes.NewReader(noise(1<<20)), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if _, err := room.Read("a", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut off by its sender: %v", err)
	}
	if n := room.Taken(); n != 0 {
		t.Errorf("%d bytes are still taken", n)
	}
}
