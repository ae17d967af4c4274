// Stage writes functions as Cloud Run's buildpack takes them, one folder each:
//
//	go run ./infra/stage [-out .stage] allocate crmevent ...
//
// Without names it writes every function of the manifest. Then, for one:
//
//	gcloud run deploy allocate --source .stage/allocate --function allocate --base-image go126
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/stage/source"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "stage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log io.Writer) error {
	f := flag.NewFlagSet("stage", flag.ContinueOnError)
	root := f.String("root", ".", "the repository's `folder`")
	out := f.String("out", ".stage", "the `folder` to write to, one folder for each function")
	if err := f.Parse(args); err != nil {
		return err
	}
	manifest, err := functions.Load()
	if err != nil {
		return err
	}
	names := f.Args()
	if len(names) == 0 {
		for _, one := range manifest.Functions {
			names = append(names, one.Name)
		}
	}
	at, err := filepath.Abs(*root)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := manifest.Get(name); !ok {
			return fmt.Errorf("functions.yaml has no function %q", name)
		}
		files, err := source.Write(ctx, at, name, filepath.Join(*out, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(log, "%s: %d files\n", filepath.Join(*out, name), len(files))
	}
	return nil
}
