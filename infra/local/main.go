// Local runs the whole system on one machine.
//
//	go run ./infra/local [flags]        starts it, until Ctrl-C
//	go run ./infra/local [flags] demo   plays the main job on a fresh system
//	go run ./infra/local [flags] test   runs every check and the whole test suite
//	go run ./infra/local -function NAME serves that one function, as Cloud Run does
//
// Flags may stand before or after the subcommand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

//go:generate go run ./gen

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	ctx, cancel := withParent(ctx)
	defer cancel()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the process's exit code: 0, 1 for a failure, 2 for a wrong call.
func run(ctx context.Context, args []string, out, log io.Writer) int {
	o, err := parse(args, log)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(log, "local:", err)
		return 2
	}
	if o.function != "" {
		if err := serveOne(o, log); err != nil {
			fmt.Fprintln(log, "local:", err)
			return 1
		}
		return 0
	}
	began := time.Now()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // until there is a log file
	switch o.command {
	case "test":
		err = test(ctx, o, out, log)
	case "demo":
		err = play(ctx, o, out, log)
	default:
		err = start(ctx, o, out, log, began)
	}
	if err != nil {
		fmt.Fprintln(log, "local:", err)
		return 1
	}
	return 0
}

// options are the command line.
type options struct {
	command  string // "", demo or test
	function string // the only one to serve
	check    string // the only one to run, with test
	addr     string
	addrSet  bool
	dir      string // absolute
	db       string
	demo     bool
	deals    int // of the portal that demo connects
	fresh    bool
	live     bool
	metrics  bool
}

const usage = `Usage: go run ./infra/local [flags] [demo|test]

Without a subcommand it starts the whole system on this machine and prints
"ready http://HOST:PORT"; Ctrl-C stops it, and the next start finds its data.
  demo   plays the main job end to end on a fresh system and exits
  test   runs every check and the whole test suite

Flags, before or after the subcommand:
`

func parse(args []string, log io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("local", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are printed once, by run
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080", "`host:port` to serve at; demo takes any free port unless this is given")
	f.StringVar(&o.dir, "data", ".local", "`folder` of the data, the log and the file env")
	f.StringVar(&o.db, "db", "", "`URL` of a database with pgvector to use, as its owner, instead of an own cluster")
	f.BoolVar(&o.demo, "demo", true, "fill an empty system with demo data")
	f.IntVar(&o.deals, "deals", 200, "with demo: how many `deals` the portal has that never sends a webhook, 20 to 50000")
	f.StringVar(&o.function, "function", "", "serve this one function `alone`, at -addr, as Cloud Run does; with the settings of the system in -data, if there is one")
	f.StringVar(&o.check, "check", "", "with test: run this one `check` of those that its summary names, such as \"each function alone\"")
	f.BoolVar(&o.live, "live", true, "start Google's Firestore emulator, where it is installed, for the live view; demo does without")
	f.BoolVar(&o.metrics, "metrics", false, "serve the metrics of all functions at /metrics, in Prometheus' form")
	f.BoolVar(&o.fresh, "fresh", false, "start over: remove the own cluster and its data first")
	rest := args
	for {
		if err := f.Parse(rest); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fmt.Fprint(log, usage)
				f.SetOutput(log)
				f.PrintDefaults()
				return o, err
			}
			return o, fmt.Errorf("%w (-h lists the flags)", err)
		}
		rest = f.Args()
		if len(rest) == 0 {
			break
		}
		if o.command != "" || rest[0] != "demo" && rest[0] != "test" {
			return o, fmt.Errorf("unexpected %q: the subcommands are demo and test, and one of them is enough", rest[0])
		}
		o.command, rest = rest[0], rest[1:]
	}
	f.Visit(func(set *flag.Flag) { o.addrSet = o.addrSet || set.Name == "addr" })
	if o.function != "" && (o.command != "" || o.fresh || o.db != "" || o.metrics) {
		return o, errors.New("-function serves one function with the settings of a system that runs: only -addr and -data go with it")
	}
	if o.deals < 20 || o.deals > 50_000 {
		return o, errors.New("-deals must be 20 to 50000")
	}
	if o.check != "" && o.command != "test" {
		return o, errors.New("-check names one check of the subcommand test: it goes with test alone")
	}
	if o.fresh && o.db != "" {
		return o, errors.New("-fresh removes only a cluster that this program made, never what is in the database of -db")
	}
	var err error
	o.dir, err = filepath.Abs(o.dir)
	return o, err
}
