// Command rig builds the programs that the tests run: etcd, kube-apiserver and
// a registry, other projects' programs, and the linter. It prints the path of each on standard output and
// its progress on standard error. Programs that are built already cost nothing.
//
//	go run ./hack/rig             build what make test runs
//	go run ./hack/rig NAME...     build these
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(names) == 0 {
		names = []string{"etcd", "kube-apiserver", "registry", "helm"}
	}
	for _, name := range names {
		path, err := rig.Binary(ctx, name)
		if err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}
