package main

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/geminivideo/geminivideo/shared/money"
	"github.com/geminivideo/geminivideo/shared/sampler"
)

// speed prints what an allocation costs in processor time on one core, beside
// its floor: drawing as many Gamma variates, and nothing else. The two run in
// turn, so that a machine that slows down slows both.
func speed(args []string) error {
	flags := flag.NewFlagSet("sampler", flag.ContinueOnError)
	runs := flags.Int("runs", 7, "`number` of runs of each, of which the median counts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	fmt.Printf("Processor time of one allocation, one core, median of %d runs\n\n", *runs)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "ads\tdraws\tours\tlimit\tgamma variates alone\tratio\tlimit\t")
	limits := map[int]string{10_000: "60ms", 100_000: "800ms"}
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		req := crowd(n)
		draws := sampler.Allocate(req).Posterior.Draws
		rng := rand.New(rand.NewPCG(1, 2))
		var ours, floor []time.Duration
		for range *runs {
			ours = append(ours, processorTime(func() { sampler.Allocate(req) }))
			floor = append(floor, processorTime(func() { variates(rng, n*draws) }))
		}
		a, b := median(ours), median(floor)
		fmt.Fprintf(out, "%d\t%d\t%s\t%s\t%s\t%.1f\t4.0\t\n", n, draws, a.Round(100*time.Microsecond), limits[n],
			b.Round(100*time.Microsecond), float64(a)/float64(b))
	}
	return out.Flush()
}

// crowd is an account of n ads of all kinds.
func crowd(n int) sampler.Request {
	rng := rand.New(rand.NewPCG(1, 2))
	req := sampler.Request{Currency: "USD", Total: money.Amount(5_000 * n), Seed: 3, Settings: sampler.Settings{Workers: 1}}
	for range n {
		views := int64(1000 + 200_000*rng.Float64())
		won := money.Amount(1_500_000 * rng.IntN(3))
		req.Arms = append(req.Arms, sampler.Arm{
			ID: fmt.Sprintf("120%015d", rng.Uint64N(1e15)), Impressions: views, Clicks: int64(float64(views) * 0.03 * rng.Float64()),
			Spend: money.Amount(float64(views) * (0.8 + rng.Float64())), AgeHours: 24 * 60 * rng.Float64(),
			Pipeline: won + money.Amount(225_000*rng.IntN(4)), Cash: &won,
		})
	}
	return req
}

// variates draws n Gamma variates by Marsaglia and Tsang's method (2000).
func variates(rng *rand.Rand, n int) (sum float64) {
	const d = 2.5 - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for n > 0 {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(rng.Float64()) < x*x/2+d*(1-v+math.Log(v)) {
			sum += d * v
			n--
		}
	}
	return sum
}

// processorTime is what this process used of the processors while run ran.
func processorTime(run func()) time.Duration {
	before := used()
	run()
	return used() - before
}

func used() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
