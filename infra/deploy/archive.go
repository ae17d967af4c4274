package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/geminivideo/geminivideo/functions"
	"github.com/geminivideo/geminivideo/infra/stage/source"
)

// archive is one function's source, as it is uploaded.
type archive struct {
	function functions.Function
	zip      []byte
	hash     string // of its files: the same files give the same hash on any machine
}

// archives stages and packs the chosen functions.
func (d *deployment) archives(ctx context.Context) ([]archive, error) {
	chosen := d.chosen()
	all := make([]archive, len(chosen))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for i, f := range chosen {
		group.Go(func() (err error) {
			all[i], err = pack(ctx, d.root, f, filepath.Join(d.work, f.Name))
			return err
		})
	}
	return all, group.Wait()
}

// pack stages a function to dir and packs it. go.mod and go.sum are tidied first: they
// then name only what this function links, so that a requirement of another function
// changes nothing here.
func pack(ctx context.Context, root string, f functions.Function, dir string) (archive, error) {
	a := archive{function: f}
	if _, err := source.Write(ctx, root, f.Name, dir); err != nil {
		return a, err
	}
	tidy := exec.CommandContext(ctx, "go", "mod", "tidy")
	tidy.Dir = dir
	tidy.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := tidy.CombinedOutput(); err != nil {
		return a, fmt.Errorf("tidy the source of %s: %w\n%s", f.Name, err, bytes.TrimSpace(out))
	}
	if err := canonical(ctx, dir); err != nil {
		return a, fmt.Errorf("write go.mod of %s: %w", f.Name, err)
	}
	files, err := read(dir)
	if err != nil {
		return a, err
	}
	a.hash = hashOf(files)
	a.zip, err = zipOf(files)
	return a, err
}

// canonical writes go.mod anew: which block a line stands in depends on how the
// repository's file came about.
func canonical(ctx context.Context, dir string) error {
	list := exec.CommandContext(ctx, "go", "mod", "edit", "-json")
	list.Dir = dir
	out, err := list.Output()
	if err != nil {
		return err
	}
	var mod struct {
		Module           struct{ Path string }
		Go               string
		Require          []struct{ Path, Version string }
		Replace, Exclude []json.RawMessage
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return err
	}
	if len(mod.Replace)+len(mod.Exclude) > 0 {
		return errors.New("a deployed module neither replaces nor excludes others")
	}
	var lines []string
	for _, r := range mod.Require {
		lines = append(lines, "\t"+r.Path+" "+r.Version+"\n")
	}
	slices.Sort(lines)
	text := "module " + mod.Module.Path + "\n\ngo " + mod.Go + "\n\nrequire (\n" + strings.Join(lines, "") + ")\n"
	return os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644)
}

type file struct {
	name string
	text []byte
}

// read returns a folder's files in the order of their names.
func read(dir string) (files []file, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		files = append(files, file{filepath.ToSlash(name), text})
		return err
	})
	slices.SortFunc(files, func(a, b file) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return files, err
}

func hashOf(files []file) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%d %s %d\n", len(f.name), f.name, len(f.text))
		sum.Write(f.text)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// zipOf packs files without times of their own.
func zipOf(files []file) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		entry, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(f.text); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// writeArchives writes NAME.zip for each function.
func (d *deployment) writeArchives(ctx context.Context) error {
	all, err := d.archives(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.archive, 0o755); err != nil {
		return err
	}
	for _, a := range all {
		if err := os.WriteFile(filepath.Join(d.archive, a.function.Name+".zip"), a.zip, 0o644); err != nil {
			return err
		}
		fmt.Fprintf(d.out, "%-12s %s  %d kB\n", a.function.Name, a.hash, len(a.zip)/1000)
	}
	return nil
}
