package oracle_test

import (
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/oracle/world"
)

func TestTune(t *testing.T) {
	for _, n := range []int{0, 1, 3, 5, 15, 50, 300} {
		for name, shape := range map[string]func(*world.Taste){"usual": nil, "null": func(w *world.Taste) { w.Matters = 0 }, "half": func(w *world.Taste) { w.Matters = 0.5 }} {
			at := time.Now()
			acc := 60
			if n >= 300 {
				acc = 12
			}
			s := world.Run(7, acc, n, 60, shape)
			t.Logf("%4d %-6s auc %.3f (%.3f) rej %d right %d cov %.3f roas %.3f err %.3f avg %.3f sq %.3f avg %.3f  roas %.3f avg %.3f  conf %.3f right %.3f  %v",
				n, name, s.AUC, s.Bound, s.Rejected, s.Right, s.Coverage, s.ROASCoverage, s.Error, s.AverageError, s.Square, s.AverageSquare, s.ROASError, s.ROASAverageError, s.Confidence, s.Decided, time.Since(at)/time.Duration(acc))
		}
	}
}
