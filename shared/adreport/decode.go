package adreport

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/geminivideo/geminivideo/shared/fault"
)

// refuseBinary names the files that are often sent in place of CSV.
func refuseBinary(src *bufio.Reader) error {
	head, err := src.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("\xD0\xCF\x11\xE0")):
		return fault.Field("body.file", "is an Excel workbook or an archive: save it as CSV")
	case bytes.HasPrefix(head, []byte("\x1F\x8B")):
		return fault.Field("body.file", "is compressed with gzip: send the CSV itself")
	case bytes.HasPrefix(head, []byte("%PDF")):
		return fault.Field("body.file", "is a PDF: a CSV is expected")
	}
	return nil
}

// decode returns src as UTF-8 with \n among its line ends: a byte order mark
// says what it is and is dropped, UTF-16 without one is known by its NULs, and
// the lone \r of old Macs becomes \n.
func decode(src *bufio.Reader) (*bufio.Reader, error) {
	head, err := src.Peek(4096)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	text := bufio.NewReaderSize(transform.NewReader(src, unicode.BOMOverride(encodingOf(head))), maxRecord)
	if head, err = text.Peek(4096); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return nil, fault.Field("body.file", "is in an encoding that is not known here, such as UTF-32: save it as CSV UTF-8")
	}
	if at := bytes.IndexByte(head, '\r'); at >= 0 && at < len(head)-1 && bytes.IndexByte(head, '\n') < 0 {
		return bufio.NewReaderSize(oldMac{text}, maxRecord), nil
	}
	return text, nil
}

// encodingOf tells UTF-16 without a byte order mark by where its NULs are: every
// comma, digit and line end has one.
func encodingOf(head []byte) transform.Transformer {
	var nuls [2]int
	for i, b := range head {
		if b == 0 {
			nuls[i%2]++
		}
	}
	half := len(head) / 2
	switch {
	case nuls[1]*5 > half && nuls[0]*50 < half:
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder()
	case nuls[0]*5 > half && nuls[1]*50 < half:
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder()
	}
	return encoding.Nop.NewDecoder()
}

// oldMac turns \r into \n.
type oldMac struct{ src io.Reader }

func (m oldMac) Read(p []byte) (int, error) {
	n, err := m.src.Read(p)
	for i := range p[:n] {
		if p[i] == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}
