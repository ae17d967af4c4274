package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/geminivideo/geminivideo/infra/sim/world"
)

// The promises of the allocator, as shares of what a clairvoyant earns.
const (
	leanMean, leanTenth = 0.88, 0.80 // nine accounts of ten earn more than the second
	leastHeld, mostHeld = 0.85, 0.95
)

// allocate plays every policy in simulated accounts and prints how they did.
func allocate(args []string) error {
	flags := flag.NewFlagSet("allocate", flag.ContinueOnError)
	worlds := flags.Int("worlds", 40, "number of simulated accounts")
	days := flags.Int("days", 60, "days per account")
	hard := flags.Int("hard", 6, "`number` of accounts of each hard kind; 0 leaves them out")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *worlds < 1 || *days < 1 {
		return fmt.Errorf("-worlds and -days must be at least 1")
	}
	began := time.Now()
	named := world.Policies()
	policies := append([]world.Policy{world.Prior()}, named...) // it knows how ordinary accounts are made, and no others
	results := play(policies, *worlds, *days)
	fmt.Printf("Share of the clairvoyant's expected closed value: %d accounts, %d days, %s\n\n", *worlds, *days, time.Since(began).Round(time.Second))
	shares(policies, results)
	calibration(results[len(policies)-2])
	regret(policies, results, *days)
	if *hard > 0 {
		hardKinds(named, *hard)
	}
	return nil
}

// play returns the results by policy and world.
func play(policies []world.Policy, worlds, days int) [][]world.Result {
	return playAll(len(policies), worlds, func(p, seed int) world.Result { return world.Play(uint64(seed), days, policies[p]) })
}

// playAll returns the results by policy and world, of as many at once as there are processors.
func playAll(policies, worlds int, one func(p, seed int) world.Result) [][]world.Result {
	results := make([][]world.Result, policies)
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for p := range policies {
		results[p] = make([]world.Result, worlds)
		for seed := range worlds {
			slots <- struct{}{}
			group.Go(func() {
				results[p][seed] = one(p, seed)
				<-slots
			})
		}
	}
	group.Wait()
	return results
}

func shares(policies []world.Policy, results [][]world.Result) {
	best := results[len(results)-1]
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "policy\tmean\t10th percentile\tworst")
	for p, policy := range policies {
		if policy.Clairvoyant {
			continue
		}
		var of []float64
		sum := 0.0
		for w, r := range results[p] {
			of = append(of, r.Sum()/best[w].Sum())
			sum += of[w]
		}
		slices.Sort(of)
		fmt.Fprintf(out, "%s\t%.3f\t%.3f\t%.3f\n", policy.Name, sum/float64(len(of)), of[len(of)/10], of[0])
	}
	fmt.Fprintf(out, "(limit)\t%.2f\t%.2f\t\n", leanMean, leanTenth)
	out.Flush()
}

func calibration(ours []world.Result) {
	fmt.Printf("\nIntervals of 90%% that hold the true return (limit %.0f to %.0f%%)\n", 100*leastHeld, 100*mostHeld)
	var held, judged int
	for part, name := range []string{"days 5 to 14", "days 15 to 29", "from day 30"} {
		h, j := 0, 0
		for _, r := range ours {
			h, j = h+r.Held[part], j+r.Judged[part]
		}
		if j > 0 {
			fmt.Printf("  %-14s %5.1f%% of %d\n", name, 100*float64(h)/float64(j), j)
		}
		held, judged = held+h, judged+j
	}
	if judged > 0 {
		fmt.Printf("  %-14s %5.1f%% of %d\n", "all", 100*float64(held)/float64(judged), judged)
	}
}

// regret draws how much of the clairvoyant's value each policy missed, by part
// of the run.
func regret(policies []world.Policy, results [][]world.Result, days int) {
	const parts, width = 6, 40
	best := results[len(results)-1]
	fmt.Println("\nRegret over time: the share of the clairvoyant's value of those days that was missed")
	for p, policy := range policies {
		if policy.Clairvoyant {
			continue
		}
		fmt.Println("\n" + policy.Name)
		for part := range parts {
			from, to := part*days/parts, (part+1)*days/parts
			if from == to {
				continue
			}
			got, could := 0.0, 0.0
			for w := range best {
				scale := best[w].Sum() // every account counts the same
				for day := from; day < to; day++ {
					got += results[p][w].Earned[day] / scale
					could += best[w].Earned[day] / scale
				}
			}
			missed := 1 - got/could
			bar := strings.Repeat("#", max(0, min(width, int(missed*width+0.5))))
			fmt.Printf("  days %2d-%2d %4.0f%% %s\n", from, to-1, 100*missed, bar)
		}
	}
}
