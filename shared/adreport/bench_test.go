package adreport

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// BenchmarkReading reads a daily export of 100,000 rows.
func BenchmarkReading(b *testing.B) {
	var file strings.Builder
	file.WriteString("Day,Ad ID,Ad name,Campaign ID,Campaign name,Impressions,Clicks (all),Amount spent (USD)\n")
	for i := range 100_000 {
		fmt.Fprintf(&file, "2026-11-%02d,12021000000%07d,Ad number %d,120300%04d,Campaign,\"%d,%03d\",%d,%d.%02d\n", 1+i%20, i/20, i, i%50, 1+i%9, i%1000, i%90, i%70, i%100)
	}
	text := file.String()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(strings.NewReader(text))
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Start(terms("USD")); err != nil {
			b.Fatal(err)
		}
		rows := 0
		for {
			_, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			rows++
		}
		if rows != 100_000 {
			b.Fatalf("%d rows", rows)
		}
	}
}
