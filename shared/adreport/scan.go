package adreport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// maxRecord bounds what one record may take, and so what is held in memory.
const maxRecord = 256 << 10

// record is one row of cells. Cells are trimmed.
type record struct {
	line  int
	cells []string
	// wrong says why the record could not be split into cells.
	wrong string
}

// cell returns the cell at i, empty where the record has none there.
func (r *record) cell(i int) string {
	if i < 0 || i >= len(r.cells) {
		return ""
	}
	return r.cells[i]
}

func (r *record) text() string { return strings.Join(r.cells, "") }

// scanner splits a stream into records and knows their lines. It forgives what
// spreadsheets and people do to quotes, and never lets one stray quote swallow
// the file: the line with it is wrong, and the next ones are read on their own.
type scanner struct {
	src   *bufio.Reader
	delim byte
	line  int      // of the line read last
	again [][]byte // lines that a stray quote had swallowed, to be read on their own
}

func newScanner(src *bufio.Reader, delim byte) *scanner { return &scanner{src: src, delim: delim} }

var errLong = errors.New("line too long")

// next returns the next record that is not blank.
func (s *scanner) next() (record, error) {
	for {
		line, err := s.readLine()
		if errors.Is(err, errLong) {
			return record{line: s.line, wrong: fmt.Sprintf("the line is longer than %d kB", maxRecord>>10)}, nil
		}
		if err != nil {
			return record{}, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		return s.split(line)
	}
}

// split reads on while a quoted cell spans lines.
func (s *scanner) split(line []byte) (record, error) {
	rec := record{line: s.line}
	cells := splitter{delim: s.delim}
	size := len(line)
	var swallowed [][]byte
	for open := cells.feed(line); open; open = cells.feed(line) {
		var err error
		if size <= maxRecord {
			line, err = s.readLine()
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errLong) {
			return record{}, err
		}
		if errors.Is(err, errLong) { // what was too long is gone; its line still counts
			swallowed = append(swallowed, nil)
		}
		if err != nil || size > maxRecord {
			return s.unread(rec, swallowed), nil
		}
		line = bytes.Clone(line)
		swallowed = append(swallowed, line)
		size += len(line)
	}
	if cells.stray {
		return s.unread(rec, swallowed), nil
	}
	rec.cells = cells.done
	return rec, nil
}

// unread gives up a record whose first line has a stray quote: the lines that it
// has swallowed are read again on their own.
func (s *scanner) unread(rec record, swallowed [][]byte) record {
	s.again = append(swallowed, s.again...)
	s.line = rec.line
	rec.wrong = "a quote opens in this line and is not closed"
	return rec
}

// readLine returns the next line without its end.
func (s *scanner) readLine() ([]byte, error) {
	if len(s.again) > 0 {
		line := s.again[0]
		s.again = s.again[1:]
		s.line++
		return line, nil
	}
	line, err := s.src.ReadSlice('\n')
	long := false
	for errors.Is(err, bufio.ErrBufferFull) {
		long = true
		_, err = s.src.ReadSlice('\n')
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(line) == 0 && !long {
		return nil, io.EOF
	}
	s.line++
	if long {
		return nil, errLong
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// splitter splits the lines of one record into cells.
type splitter struct {
	delim  byte
	done   []string
	cell   []byte
	quoted bool // within quotes
	closed bool // the cell had quotes, and they are closed
	spans  bool // the cell's quotes span lines
	stray  bool // such a cell closed where no cell ends: its quote was none
}

// feed takes a line and reports whether a quoted cell goes on in the next.
func (s *splitter) feed(line []byte) (open bool) {
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case s.quoted && c == '"' && i+1 < len(line) && line[i+1] == '"':
			s.cell = append(s.cell, '"')
			i++
		case s.quoted && c == '"':
			s.quoted, s.closed = false, true
			if rest := bytes.TrimLeft(line[i+1:], " "); s.spans && len(rest) > 0 && rest[0] != s.delim {
				s.stray = true
				return false
			}
		case s.quoted:
			s.cell = append(s.cell, c)
		case c == s.delim:
			s.end()
		case c == '"' && !s.closed && len(bytes.TrimSpace(s.cell)) == 0:
			s.quoted, s.cell = true, s.cell[:0]
		default:
			s.cell = append(s.cell, c)
		}
	}
	if s.quoted {
		s.cell, s.spans = append(s.cell, '\n'), true
		return true
	}
	s.end()
	return false
}

func (s *splitter) end() {
	cell := string(s.cell)
	if !utf8.ValidString(cell) { // what Excel saves on Windows as plain CSV
		cell, _ = charmap.Windows1252.NewDecoder().String(cell)
	}
	s.done = append(s.done, strings.TrimSpace(cell))
	s.cell, s.closed, s.spans = s.cell[:0], false, false
}
