package crmevent_test

import (
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/fakehubspot"
	"github.com/geminivideo/geminivideo/shared/message"
)

// BenchmarkMove handles one deal's moves from stage to stage, one after another.
func BenchmarkMove(b *testing.B) {
	c := newCRM(b, fakehubspot.Options{})
	w := newWorld(b, c)
	w.click("a1", "fb-1", day(1))
	deal, events := lead(b, c, "fb-1", 2)
	w.handle(messages(b, events...)...)
	var moves []message.Message
	at := day(3)
	for n := range b.N {
		at = at.Add(time.Second)
		moved, err := c.MoveStage(deal, []string{"closedwon", "closedlost"}[n%2], at)
		if err != nil {
			b.Fatal(err)
		}
		moves = append(moves, messages(b, moved...)...)
	}
	before := w.urls.CPU(b)
	b.ResetTimer()
	for _, m := range moves {
		deliver(b, w.consumer, m)
	}
	b.ReportMetric(float64((w.urls.CPU(b)-before).Microseconds())/float64(len(moves))/1000, "pg-ms/event")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(len(moves)), "µs/event")
}
