package campaigns_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/campaigns"
	"github.com/geminivideo/geminivideo/infra/testkit/apitest"
	"github.com/geminivideo/geminivideo/shared/auth"
)

// BenchmarkImport streams reports of 100,000 rows: ads with totals, all of them
// new, the same again, and 5,000 ads by day. It reports the peak of the heap.
func BenchmarkImport(b *testing.B) {
	for _, tt := range []struct {
		name, header string
		row          func(i int) string
		again        bool
	}{
		{"new ads", "Ad ID,Ad name,Campaign ID,Campaign name,Impressions,Clicks (all),Amount spent (USD),Purchases", total, false},
		{"known ads", "Ad ID,Ad name,Campaign ID,Campaign name,Impressions,Clicks (all),Amount spent (USD),Purchases", total, true},
		{"days", "Day,Ad ID,Ad name,Campaign ID,Campaign name,Impressions,Clicks (all),Amount spent (USD)", daily, false},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				w := apitest.New(b)
				h := campaigns.New(w.App, w.Access(), w.Queue, nil)
				if tt.again {
					send(b, w, h, tt.header, tt.row)
				}
				runtime.GC()
				stop, peak := watchHeap()
				b.StartTimer()
				send(b, w, h, tt.header, tt.row)
				b.StopTimer()
				close(stop)
				b.ReportMetric(<-peak, "peak-MB")
				b.StartTimer()
			}
		})
	}
}

func total(i int) string {
	return fmt.Sprintf("12021000000%07d,Ad number %d,120300%04d,Campaign %d,\"%d,%03d\",%d,%d.%02d,%d\n", i, i, i%500, i%500, 1+i%9, i%1000, i%90, i%70, i%100, i%100/99)
}

func daily(i int) string {
	return fmt.Sprintf("2026-10-%02d,12021000000%07d,Ad number %d,120300%04d,Campaign %d,\"%d,%03d\",%d,%d.%02d\n", 1+i/5000, i%5000, i%5000, i%50, i%50, 1+i%9, i%1000, i%90, i%70, i%100)
}

func send(b *testing.B, w *apitest.World, h http.Handler, header string, row func(int) string) {
	b.Helper()
	const rows = 100_000
	pipe, out := io.Pipe()
	go func() {
		buffered := bufio.NewWriter(out)
		fmt.Fprintf(buffered, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"r.csv\"\r\n\r\n%s\r\n", header)
		for i := range rows {
			_, _ = buffered.WriteString(row(i))
		}
		fmt.Fprint(buffered, "\r\n--b--\r\n")
		_ = out.CloseWithError(buffered.Flush())
	}()
	r := httptest.NewRequestWithContext(b.Context(), "POST", "/api/ads/import", pipe)
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	r.Header.Set("Authorization", "Bearer "+w.Token(auth.Editor))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		b.Fatalf("%d %s", rec.Code, rec.Body)
	}
	b.Log(rec.Body.String())
}

func watchHeap() (stop chan struct{}, peak chan float64) {
	stop, peak = make(chan struct{}), make(chan float64, 1)
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-stop:
				peak <- float64(most) / (1 << 20)
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return stop, peak
}
