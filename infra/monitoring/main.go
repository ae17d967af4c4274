// Monitoring has the dashboards for Grafana and the alert rules for Prometheus:
//
//	go run ./infra/monitoring write    writes dashboards/*.json anew
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "monitoring:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 || args[0] != "write" {
		return errors.New("usage: monitoring write")
	}
	return write("infra/monitoring/dashboards")
}
