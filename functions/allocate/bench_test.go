package allocate_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/functions/allocate"
	"github.com/geminivideo/geminivideo/shared/serve"
)

// large is a request of n ads with every usual field.
func large(n int) m {
	states := make([]m, n)
	for i := range states {
		states[i] = m{
			"ad_id": fmt.Sprintf("2385%011d", i*7919), "impressions": 20000 + 137*i%50000, "clicks": 100 + i%300,
			"spend": 50.25 + float64(i%1000), "pipeline_value": float64(i%40) * 225, "cash_revenue": float64(i%40/10) * 150,
			"age_hours": float64(24 + i%900), "current_budget": 5.5 + float64(i%20),
		}
	}
	return m{"ad_states": states, "total_budget": 150000.0, "seed": 11}
}

// BenchmarkSelect is a whole request of 10,000 ads, on a database that knows
// nothing of them and on one that has seen them for a week; BenchmarkEdge is what
// decoding it and encoding its answer cost alone.
func BenchmarkSelect(b *testing.B) {
	for _, days := range []int{0, 7, 20} {
		b.Run(fmt.Sprintf("days=%d", days), func(b *testing.B) {
			s := newSystem(b)
			request := large(10000)
			for d := range days {
				for _, ad := range request["ad_states"].([]m) {
					ad["age_hours"] = ad["age_hours"].(float64) + float64(24*d)
				}
				s.split(request)
			}
			body, _ := json.Marshal(request)
			defer processorTime(b)()
			for b.Loop() {
				if days == 0 {
					b.StopTimer()
					s.exec(`TRUNCATE gv.ad_observations`)
					b.StartTimer()
				}
				if got := s.do(call{body: string(body)}); got.status != http.StatusOK {
					b.Fatalf("%d %.300s", got.status, got.body)
				}
			}
			b.SetBytes(int64(len(body)))
		})
	}
}

func BenchmarkEdge(b *testing.B) {
	s := newSystem(b)
	body, _ := json.Marshal(large(10000))
	answer := s.do(call{body: string(body)}).body
	edge := allocate.Edge(serve.Access{Verifier: s.tokens.Verifier()}, answer)
	defer processorTime(b)()
	for b.Loop() {
		if got := s.do(call{body: string(body), to: edge}); got.status != http.StatusOK || len(got.body) != len(answer) {
			b.Fatalf("%d %.300s", got.status, got.body)
		}
	}
	b.SetBytes(int64(len(body)))
}

// processorTime reports this process's time on the processors: on a busy machine
// it says more than the clock does. The database's is not in it.
func processorTime(b *testing.B) func() {
	used := func() time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric(float64((used()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op") }
}
