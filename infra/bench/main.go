// Command bench measures what the project promises and prints each figure
// beside its limit. One file per subcommand:
//
//	go run ./infra/bench allocate [-worlds 40] [-days 60] [-hard 6]
//	go run ./infra/bench coldstart [-runs 15] [-sizes] [function ...]
//	go run ./infra/bench earlier [-at COMMIT] [-run REGEXP] [package ...]
//	go run ./infra/bench fatigue [-ads 1000] [-seed 1]
//	go run ./infra/bench faults [-times 1] [-only disk]
//	go run ./infra/bench fuzz [-time 1m] [-only FuzzBeacon]
//	go run ./infra/bench learning [-accounts 12] [-seed 1]
//	go run ./infra/bench load [-seconds 10] [-inflight 10] [-deals 40] [-rate 100] [-named] [-only intake|clicks|ledger|mixed|steady]
//	go run ./infra/bench oracle [-accounts 30] [-fresh 60] [-seed 1]
//	go run ./infra/bench sampler [-runs 7]
//	go run ./infra/bench search [-queries 10] [-even 5000]
//	go run ./infra/bench strangers [-each 5s] [function ...]
//	go run ./infra/bench sweep [-ads 100000] [-days 7] [-tired 0.05] [-runs 5]
//	go run ./infra/bench upgrades [-from 007,050|all] [-cli node_modules/.bin/supabase]
package main

import (
	"fmt"
	"os"
	"slices"
)

// commands are the subcommands; each parses its own flags.
var commands = []struct {
	name, does string
	run        func(args []string) error
}{
	{"allocate", "the budget sampler against other ways, in simulated accounts", allocate},
	{"coldstart", "each function's size, processor time to the first answer and memory, beside a hello with the same libraries", coldstart},
	{"earlier", "the tests of the build before the newest migration, against the schema of this one", earlier},
	{"fatigue", "the fatigue detector against others, on invented ads", tiring},
	{"faults", "each kind of fault, the tests that make it and hold the invariants against it", faulting},
	{"fuzz", "every parser that strangers reach, fed with what nobody would send", fuzzing},
	{"learning", "accounts of 60 days with a learning cycle a day beside never retraining", learns},
	{"load", "the webhook's intake beside a bare handler, the click beacon, events to the ledger beside pgbench, ten tenants' mixed traffic, a steady stream and a burst; every id looked up", loading},
	{"oracle", "the oracle on new ads of invented accounts, by how many past ads it has", judging},
	{"sampler", "an allocation's processor time beside drawing its gamma variates alone", speed},
	{"search", "the winner memory of tenants of all sizes and of fifty of one size, beside exact searches and its SQL alone", searching},
	{"strangers", "slow connections, large bodies and bad ones at each door: memory, and another caller's p99", strangers},
	{"sweep", "a sweep over all active ads beside the one SELECT of their rows, and a loop over them", sweeping},
	{"upgrades", "a database at an old migration brought up by psql, by migrate and by the Supabase CLI: the same schema?", upgrades},
}

func main() {
	if len(os.Args) > 1 {
		for _, c := range commands {
			if c.name != os.Args[1] {
				continue
			}
			if err := c.run(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "bench "+c.name+":", err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: bench <command> [flags]")
	for c := range slices.Values(commands) {
		fmt.Fprintf(os.Stderr, "  %-10s %s\n", c.name, c.does)
	}
	os.Exit(2)
}
