package main

import (
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/geminivideo/geminivideo/infra/sim/fatigueworld"
	"github.com/geminivideo/geminivideo/shared/fatigue"
)

// The promises of the fatigue detector: over the ordinary kinds, and over those that
// have another cause or hide in the days.
const (
	leastF1, leastPrecision           = 0.92, 0.90
	mostFalse, leastFound, mostOfKind = 0.10, 0.80, 0.30
)

// tiring shows every detector the same invented ads and prints how they did.
func tiring(args []string) error {
	flags := flag.NewFlagSet("fatigue", flag.ContinueOnError)
	each := flags.Int("ads", 1000, "number of invented ads of each kind")
	seed := flags.Uint64("seed", 1, "which ads are invented")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *each < 1 {
		return fmt.Errorf("-ads must be at least 1")
	}
	ads := fatigueworld.Ads(*seed, *each)
	detectors := fatigueworld.Detectors()
	scores := make([]fatigueworld.Score, len(detectors))
	for i, d := range detectors {
		scores[i] = fatigueworld.Measure(d, ads)
	}
	fmt.Printf("Needs action: %d invented ads, 30 to 100,000 impressions a day, 5 to 30 days\n\n", len(ads))
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "detector\tF1\tprecision\trecall\tF1 of all\tprecision of all")
	for i, d := range detectors {
		s := scores[i]
		fmt.Fprintf(out, "%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\n", d.Name, s.Shown.F1(), s.Shown.Precision(), s.Shown.Recall(), s.All.F1(),
			s.All.Precision())
	}
	fmt.Fprintf(out, "(limit)\t%.2f\t%.2f\t\t\t\n", leastF1, leastPrecision)
	out.Flush()
	fmt.Println("\nOf all: with ads that tire where even who knew every rate could not see it in the counts.")

	fmt.Println("\nAlarms by kind, as a share of the ads of that kind")
	fmt.Fprint(out, "kind\tads")
	for _, d := range detectors {
		fmt.Fprintf(out, "\t%s", d.Name)
	}
	fmt.Fprintln(out)
	row := func(name string, count func(fatigueworld.Score) fatigueworld.Count) {
		if count(scores[0]).Ads() == 0 {
			return
		}
		fmt.Fprintf(out, "%s\t%d", name, count(scores[0]).Ads())
		for _, s := range scores {
			fmt.Fprintf(out, "\t%5.1f%%", 100*float64(count(s).Alarms())/float64(count(s).Ads()))
		}
		fmt.Fprintln(out)
	}
	for _, k := range fatigueworld.Kinds() {
		row(string(k), func(s fatigueworld.Score) fatigueworld.Count { return s.Of[k] })
		row("  that the counts cannot show", func(s fatigueworld.Score) fatigueworld.Count { return s.Hidden[k] })
	}
	out.Flush()

	causes(detectors, *seed, *each, out)

	began := time.Now()
	for _, a := range ads {
		fatigue.Judge(a.Days[max(0, len(a.Days)-7):], fatigue.Context{})
	}
	fmt.Printf("\nA week of one ad is judged in %s\n", (time.Since(began) / time.Duration(len(ads))).Round(100*time.Nanosecond))
	return nil
}

// causes prints how the detectors did with ads whose days have another cause than
// fatigue, and with falls that the newest day alone does not show.
func causes(detectors []fatigueworld.Detector, seed uint64, each int, out *tabwriter.Writer) {
	ads := fatigueworld.Of(seed, fatigueworld.Causes(), each)
	fmt.Println("\nWrong by kind: false alarms on ads with another cause, misses of falls that hide in the days")
	fmt.Fprint(out, "kind\tads")
	scores := make([]fatigueworld.Score, len(detectors))
	for i, d := range detectors {
		scores[i] = fatigueworld.Measure(d, ads)
		fmt.Fprintf(out, "\t%s", d.Name)
	}
	fmt.Fprint(out, "\t(limit)\n")
	for _, k := range fatigueworld.Causes() {
		what := "false alarms"
		if k.NeedsAction() {
			what = "misses"
		}
		fmt.Fprintf(out, "%s, %s\t%d", k, what, scores[0].Of[k].Ads())
		for _, s := range scores {
			c := s.Of[k]
			fmt.Fprintf(out, "\t%5.1f%%", 100*float64(c.False+c.Missed)/float64(max(1, c.Ads())))
		}
		fmt.Fprintf(out, "\t%3.0f%%\n", 100*mostOfKind)
	}
	fmt.Fprint(out, "all, false alarms\t")
	for _, s := range scores {
		fmt.Fprintf(out, "\t%5.1f%%", 100*float64(s.Shown.False)/float64(max(1, s.Shown.False+s.Shown.Quiet)))
	}
	fmt.Fprintf(out, "\t%3.0f%%\nall, found\t", 100*mostFalse)
	for _, s := range scores {
		fmt.Fprintf(out, "\t%5.1f%%", 100*s.Shown.Recall())
	}
	fmt.Fprintf(out, "\t%3.0f%%\n", 100*leastFound)
	out.Flush()
}
