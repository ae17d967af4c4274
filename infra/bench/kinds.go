package main

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/geminivideo/geminivideo/infra/sim/world"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// kindLimits are what is promised in accounts of a kind; a limit of 0 is none.
var kindLimits = map[string]struct{ mean, held, wrongKills, better float64 }{
	"49 days to close":           {held: 0.8, wrongKills: 0.1},
	"cash only":                  {wrongKills: 0.1},
	"deals are counted":          {mean: 0.88},
	"ledger":                     {mean: 0.88},
	"heavy tails, counts":        {mean: 0.88},
	"small deals, other history": {better: 0.6},
	"3 to 5 ads":                 {held: 0.86},
	"strong weekdays":            {mean: 0.86},
}

// hardKinds plays every policy in the kinds of accounts that allocators find hard,
// and prints how they did beside what is promised.
func hardKinds(policies []world.Policy, worlds int) {
	fmt.Println("\nHard kinds of accounts: share of the clairvoyant's value, and what this sampler says of them")
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(out, "kind")
	for _, p := range policies[:len(policies)-1] {
		fmt.Fprintf(out, "\t%s", p.Name)
	}
	fmt.Fprintln(out, "\tintervals hold\tkills, wrong\tsure, right\tkill raised, scale cut\tbetter half\t(limits)")
	for _, kind := range world.Kinds() {
		results := playKind(kind, policies, worlds)
		best := results[len(results)-1]
		fmt.Fprint(out, kind.Name)
		for p := range policies[:len(policies)-1] {
			mean := 0.0
			for w, r := range results[p] {
				mean += r.Sum() / best[w].Sum() / float64(worlds)
			}
			fmt.Fprintf(out, "\t%.3f", mean)
		}
		var all world.Result
		held, judged, better := 0, 0, 0.0
		for _, r := range results[len(policies)-2] {
			for part := range r.Held {
				held, judged = held+r.Held[part], judged+r.Judged[part]
			}
			all.Kills, all.WrongKills = all.Kills+r.Kills, all.WrongKills+r.WrongKills
			all.Sure, all.SureRight = all.Sure+r.Sure, all.SureRight+r.SureRight
			all.KillRaises, all.ScaleCuts = all.KillRaises+r.KillRaises, all.ScaleCuts+r.ScaleCuts
			better += r.Better / float64(worlds)
		}
		fmt.Fprintf(out, "\t%.2f\t%d, %.2f\t%d, %.2f\t%d, %d\t%.2f\t%+v\n", part(held, judged), all.Kills, part(all.WrongKills, all.Kills),
			all.Sure, part(all.SureRight, all.Sure), all.KillRaises, all.ScaleCuts, better, kindLimits[kind.Name])
	}
	out.Flush()
	fmt.Println("\nDays until an ad that is struck has lost half of its money, by what is known of deals: sums, counts, the ledger")
	for _, s := range world.Shocks() {
		fmt.Printf("  %-26s", s.Name)
		for _, k := range []world.Kind{{}, {Counts: true}, {Counts: true, Ledger: true}} {
			sum := 0.0
			for seed := range uint64(worlds) {
				sum += world.AfterShock(seed, s, k)
			}
			fmt.Printf(" %5.1f", sum/float64(worlds))
		}
		fmt.Printf(" (limit %.1f)\n", s.Within)
	}
	fmt.Println("\nA median ad of eight before and after one deal of twenty times the usual size (limit 20%)")
	for _, counts := range []bool{false, true} {
		req := world.Eight(1, counts)
		share := func(req sampler.Request) float64 {
			return 100 * float64(sampler.Allocate(req).Recommendations[3].Recommended) / float64(req.Total)
		}
		fmt.Printf("  counts known: %-5v  %.1f%%, then %.1f%%\n", counts, share(req), share(world.WithLargeDeal(req, 3)))
	}
}

func part(some, all int) float64 { return float64(some) / float64(max(all, 1)) }

func playKind(kind world.Kind, policies []world.Policy, worlds int) [][]world.Result {
	return playAll(len(policies), worlds, func(p, seed int) world.Result { return kind.Play(uint64(seed), policies[p]) })
}
