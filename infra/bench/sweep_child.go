package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/geminivideo/geminivideo/shared/pg"
	"github.com/geminivideo/geminivideo/shared/remedy"
	"github.com/geminivideo/geminivideo/shared/sweep"
)

// swept is what a child process says of its sweep.
type swept struct {
	sweep.Report
	Peak float64 // MB
}

func (s swept) took() time.Duration { return time.Duration(s.Seconds * float64(time.Second)) }

func sweepInChild(url string) (swept, error) {
	cmd := exec.Command(os.Args[0], "sweep", "-child", url)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return swept{}, fmt.Errorf("the sweeping process: %w", err)
	}
	var s swept
	return s, json.Unmarshal(out, &s)
}

func sweepChild(url string) error {
	ctx := context.Background()
	db, err := pg.OpenWorker(ctx, pg.WorkerConfig{URL: url, MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Ping(ctx); err != nil { // a function's connections stand
		return err
	}
	report, err := sweep.All(db, remedy.Fatigue()).Run(ctx)
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		return fmt.Errorf("the system does not say how much memory was used")
	}
	peak, _ := strconv.ParseFloat(string(found[1]), 64)
	return json.NewEncoder(os.Stdout).Encode(swept{report, peak / 1024})
}
