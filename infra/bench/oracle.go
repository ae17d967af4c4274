package main

import (
	"flag"
	"fmt"
	"math"
	"time"

	"github.com/geminivideo/geminivideo/infra/sim/creativeworld"
)

// judging holds the oracle to new ads of invented accounts, at several sizes of
// history. The limits are those of the tests; the seeds are others.
func judging(args []string) error {
	flags := flag.NewFlagSet("oracle", flag.ExitOnError)
	accounts := flags.Int("accounts", 30, "invented accounts with 300 ads; five times as many with fewer")
	fresh := flags.Int("fresh", 60, "new ads that are judged in each")
	seed := flags.Uint64("seed", 1, "of the invented accounts")
	gate := flags.Bool("gate", false, "only the gate in accounts whose clicks pay less")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *gate {
		if missed := clickbait(*seed, *accounts, *fresh); missed > 0 {
			return fmt.Errorf("%d limits are missed", missed)
		}
		return nil
	}
	worlds := []struct {
		name  string
		shape func(*creativeworld.Taste)
	}{
		{"DNA matters", nil},
		{"DNA matters half as much", func(t *creativeworld.Taste) { t.Matters = 0.5 }},
		{"DNA means nothing", func(t *creativeworld.Taste) { t.Matters = 0 }},
		{"one ad in ten goes viral", func(t *creativeworld.Taste) { t.Viral = 0.1 }},
	}
	fmt.Printf("%-26s %6s %7s %7s %9s %13s %9s %9s %9s %9s %9s\n",
		"accounts whose", "ads", "AUC", "at best", "rejects", "were losers", "90% holds", "of ROAS", "error", "average's", "account")
	missed := 0
	for _, w := range worlds {
		for _, past := range []int{0, 1, 5, 20, 50, 300} {
			began := time.Now()
			n := *accounts
			if past < 100 {
				n *= 5
			}
			s := creativeworld.Run(*seed, n, past, *fresh, w.shape)
			took := time.Since(began) / time.Duration(n)
			fmt.Printf("%-26s %6d %7.3f %7.3f %9d %12.0f%% %9.3f %9.3f %9.3f %9.3f %9s\n", w.name, past, s.AUC, s.Bound,
				s.Rejected, 100*float64(s.Right)/float64(max(s.Rejected, 1)), s.Coverage, s.ROASCoverage, s.Error, s.AverageError,
				took.Round(time.Millisecond))
			switch {
			case past == 300 && w.shape == nil && s.AUC < 0.80, past == 300 && (s.Coverage < 0.85 || s.Coverage > 0.95),
				past == 5 && s.Error > s.AverageError:
				missed++
				fmt.Println("  ^ misses its limit")
			}
		}
	}
	missed += clickbait(*seed, *accounts, *fresh)
	fmt.Println("Limits: with 300 ads AUC at least 0.80 where the DNA matters and 90% intervals that hold 85 to 95%; with 5 ads no larger an error (mean, of log CTR) than the account's average. \"at best\" is the AUC of one who knows what every feature does.")
	if missed > 0 {
		return fmt.Errorf("%d limits are missed", missed)
	}
	return nil
}

// honest is how far the mean confidence may be from the share of decisions that are right.
const honest = 0.06

// clickbait holds the gate to accounts in which what is clicked more pays less: it
// must not lower the mean ROAS of what runs, over that of all new ads of the account.
func clickbait(seed uint64, accounts, fresh int) (missed int) {
	fmt.Printf("\n%-26s %6s %11s %11s %9s %9s %9s %9s\n", "clickbait: worth of clicks", "ads", "by value", "by CTR", "rejects", "right",
		"said", "true")
	for _, lure := range []float64{-0.5, -1, -1.5} {
		for _, past := range []int{30, 100, 300} {
			s := creativeworld.Run(seed, accounts, past, fresh, func(t *creativeworld.Taste) { t.Lure = lure })
			fmt.Printf("falls by CTR^%-13.1f %6d %+10.1f%% %+10.1f%% %9d %8.0f%% %9.3f %9.3f\n", -lure, past, 100*(s.KeptROAS-1), 100*(s.ByCTRROAS-1), s.Rejected,
				100*float64(s.Right)/float64(max(s.Rejected, 1)), s.Confidence, s.Decided)
			if s.KeptROAS < 0.995 {
				missed++
				fmt.Println("  ^ the gate lowers the mean ROAS")
			}
			if math.Abs(s.Confidence-s.Decided) > honest {
				missed++
				fmt.Println("  ^ what is said is not what is true")
			}
		}
	}
	return missed
}
