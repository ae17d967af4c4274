package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// fuzzTarget is a parser that strangers reach.
type fuzzTarget struct{ folder, name, what string }

var fuzzTargets = []fuzzTarget{
	{"./shared/serve", "FuzzBody", "JSON bodies at the edge of every function"},
	{"./shared/serve", "FuzzPruned", "large JSON bodies, before they are decoded"},
	{"./shared/serve", "FuzzDecodingNeverPanics", "Pub/Sub's messages"},
	{"./shared/auth", "FuzzToken", "access tokens"},
	{"./shared/hubspot", "FuzzSignature", "HubSpot's signature"},
	{"./shared/hubspot", "FuzzWhatParsesSurvivesAMessage", "HubSpot's batches"},
	{"./functions/clicks", "FuzzBeacon", "the click beacon"},
	{"./functions/leadads", "FuzzNotification", "Meta's notifications of leads"},
	{"./functions/dealhook", "FuzzDeals", "deals of any tool"},
	{"./functions/dealhook", "FuzzSignature", "Standard Webhooks' signature"},
	{"./functions/campaigns", "FuzzUpload", "multipart uploads"},
	{"./shared/adreport", "FuzzReading", "CSV reports"},
	{"./shared/video", "FuzzProbe", "video files"},
}

// fuzzing runs each target in turn, and prints how it ended. What a target finds stays
// in its package's testdata/fuzz, where every later test run tries it.
func fuzzing(args []string) error {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	each := flags.Duration("time", time.Minute, "how long each target runs")
	only := flags.String("only", "", "the one target to run")
	procs := flags.Int("parallel", 2, "how many workers a target has")
	if err := flags.Parse(args); err != nil {
		return err
	}
	failed := 0
	fmt.Printf("| parser | target | for | ended |\n|---|---|---|---|\n")
	for _, target := range fuzzTargets {
		if *only != "" && *only != target.name {
			continue
		}
		began := time.Now()
		//nolint:gosec // the names are the list's above
		cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+target.name+"$", "-fuzztime", each.String(),
			"-parallel", fmt.Sprint(*procs), target.folder)
		text, err := cmd.CombinedOutput()
		ended := "nothing found"
		if err != nil {
			failed++
			ended = "FAILED"
			fmt.Fprintf(os.Stderr, "%s\n", text)
		}
		fmt.Printf("| %s | %s %s | %.0f s | %s |\n", target.what, target.folder, target.name, time.Since(began).Seconds(), ended)
	}
	if failed > 0 {
		return fmt.Errorf("%d targets found something: see testdata/fuzz of their packages", failed)
	}
	return nil
}
