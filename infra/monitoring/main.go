// Monitoring has the dashboards for Grafana and the alert rules for Prometheus:
//
//	go run ./infra/monitoring write             writes dashboards/*.json anew
//	go run ./infra/monitoring check [-traffic 10m] [-panels] [-alert NAME] [-program FILE]
//
// check runs the local system under demo traffic beside a real Prometheus: each panel
// must have samples, each fault must fire its alerts, and they must clear after it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == "write" {
		return write("infra/monitoring/dashboards")
	}
	if len(args) == 0 || args[0] != "check" {
		return errors.New("usage: monitoring write, or monitoring check [-traffic 10m] [-panels] [-alert NAME] [-program FILE]")
	}
	var o checkOptions
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.DurationVar(&o.traffic, "traffic", defaultTraffic, "how `long` the traffic runs before the panels are looked at")
	flags.BoolVar(&o.panelsOnly, "panels", false, "look at the panels only, and inject no fault")
	flags.StringVar(&o.only, "alert", "", "inject only the faults that fire the alerts of these `names`, with commas")
	flags.StringVar(&o.program, "program", "", "the `file` of infra/local, built; empty: it is built here")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return check(ctx, o)
}
