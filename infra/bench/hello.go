package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// helloDir is the folder of the hello within a staged source.
const helloDir = "functions.local/hello"

// writeHello adds a program to a staged source that answers hello by the Functions
// Framework and imports every library that the function's own packages import. The
// linker leaves out what nothing calls, so the comparison is in the hello's favour. It
// returns the libraries as one text: functions with the same ones share a hello.
func writeHello(ctx context.Context, staged, function string) (string, error) {
	libraries, err := imported(ctx, staged, function)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	text.WriteString(`package main

import (
	"log"
	"net/http"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

`)
	for _, path := range libraries {
		fmt.Fprintf(&text, "\t_ %q\n", path)
	}
	text.WriteString(`)

func init() {
	functions.HTTP("hello", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("hello")) })
}

func main() {
	if err := funcframework.Start(os.Getenv("PORT")); err != nil {
		log.Fatal(err)
	}
}
`)
	dir := filepath.Join(staged, helloDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return strings.Join(libraries, " "), os.WriteFile(filepath.Join(dir, "main.go"), text.Bytes(), 0o644)
}

// imported returns the libraries that the function's packages of this module import.
func imported(ctx context.Context, staged, function string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=ImportPath,Imports,Module", "./functions/"+function)
	cmd.Dir, cmd.Env = staged, append(os.Environ(), "CGO_ENABLED=0")
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages of %s: %w", function, err)
	}
	type goPackage struct {
		ImportPath string
		Imports    []string
		Module     *struct {
			Path string
			Main bool
		}
	}
	var paths []string
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read the list of packages of %s: %w", function, err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, path := range p.Imports {
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") && !strings.HasPrefix(path, p.Module.Path+"/") {
				paths = append(paths, path)
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}
