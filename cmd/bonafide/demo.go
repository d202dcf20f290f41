package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bonafide-dev/bonafide/internal/demo"
)

func newDemo() *cobra.Command {
	var scenario string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job in one process, without a network",
		Long: `Show the main job in one process, without a network: a registry with images that are signed well,
badly and not at all, a policy, the real server with TLS, and real AdmissionReviews.

--scenario NAME shows another door, with the policies of a folder of examples/:
` + strings.Join(demo.Scenarios()[1:], ", ") + `.

Exit code 0 only if every image was decided as it must be.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return demo.Run(c.Context(), scenario, c.OutOrStdout(), time.Now)
		},
	}
	c.Flags().StringVar(&scenario, "scenario", demo.Admission, "`NAME` of the scenario")
	return c
}
