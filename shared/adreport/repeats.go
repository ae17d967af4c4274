package adreport

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"
)

// seenRow is where a key was met first, and a hash of what stood there.
type seenRow struct{ line, content uint32 }

// Conflict is two rows of one file that have the same key and say different things.
type Conflict struct {
	AdID   string
	Reason string
}

// Conflicts lists the ads that have rows in conflict. Rows of theirs that were
// returned before the conflict was found must not be used.
func (r *Reader) Conflicts() []Conflict {
	all := make([]Conflict, 0, len(r.conflicts))
	for _, c := range r.conflicts {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Conflict) int { return strings.Compare(a.AdID, b.AdID) })
	return all
}

// Repeats counts the rows that said again what a row before them had said.
func (r *Reader) Repeats() int { return r.notes.repeats }

// again compares the row with one before it of the same ad, time and part. Where
// both say the same the row repeats it. Otherwise nobody knows which is right, and
// the ad is in conflict.
func (r *Reader) again(rec *record, row Row) (repeats bool, rejected *Rejected) {
	column := r.cols.header[r.cols.at[adID]]
	if c, ok := r.conflicts[row.AdID]; ok {
		return false, &Rejected{rec.line, column, c.Reason}
	}
	key, content := r.hashes(rec, row)
	before, ok := r.seen[key]
	if !ok {
		r.seen[key] = seenRow{uint32(rec.line), content} //nolint:gosec // MaxRows bounds it
		return false, nil
	}
	if before.content == content {
		return true, nil
	}
	c := Conflict{row.AdID, r.conflict(int(before.line), rec.line, row)}
	r.conflicts[row.AdID] = c
	return false, &Rejected{rec.line, column, c.Reason}
}

// hashes returns the hash of the row's key, and of all its cells.
func (r *Reader) hashes(rec *record, row Row) (key uint64, content uint32) {
	var h maphash.Hash
	h.SetSeed(r.seed)
	for _, part := range []string{row.AdID, row.First.Format(time.DateOnly), row.Last.Format(time.DateOnly)} {
		_, _ = h.WriteString(part)
		_ = h.WriteByte(0)
	}
	_, _ = h.Write(row.Part[:])
	key = h.Sum64()
	h.Reset()
	for _, cell := range rec.cells {
		_, _ = h.WriteString(cell)
		_ = h.WriteByte(0)
	}
	return key, uint32(h.Sum64()) //nolint:gosec // a hash
}

// conflict says what would tell two rows of one key apart.
func (r *Reader) conflict(before, line int, row Row) string {
	var columns []string
	for _, name := range []string{"Age", "Gender", "Country", "Placement", "Creative ID"} {
		if !slices.ContainsFunc(r.cols.splits, func(s split) bool { return s.name == letters(name) }) {
			columns = append(columns, name)
		}
	}
	what := "ad and day"
	switch {
	case row.First.IsZero():
		what, columns = "ad", append([]string{"Day"}, columns...)
	case !row.First.Equal(row.Last):
		what, columns = "ad and period", append([]string{"Day"}, columns...)
	}
	return fmt.Sprintf("lines %d and %d are of the same %s and differ, so none of the ad's rows is taken: "+
		"export the column that tells them apart (such as %s), or leave one out", before, line, what, strings.Join(columns, ", "))
}
