package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bonafide-dev/bonafide/internal/server"
)

// webhookOptions are the flags of webhook-config.
type webhookOptions struct {
	url, service, ca, namespace string
	only, exclude               []string
	observeOnly                 bool
	static                      string
}

func newWebhookConfig() *cobra.Command {
	var o webhookOptions
	c := &cobra.Command{
		Use:   "webhook-config",
		Short: "Print the webhook configurations for kubectl apply",
		Example: `  bonafide webhook-config --service bonafide-system/bonafide --ca ca.crt | kubectl apply -f -
  bonafide webhook-config --url https://10.0.0.7:9443 --ca ca.crt
  bonafide webhook-config --url https://10.0.0.7:9443 --ca ca.crt --print-static-manifests=validating >/etc/kubernetes/admission/validating/bonafide.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := o.config()
			if err != nil {
				return err
			}
			out, err := o.print(config)
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(out)
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&o.url, "url", "", "address of bonafide serve, for a server outside the cluster")
	f.StringVar(&o.service, "service", "", "`NS/NAME` of its Service")
	f.StringVar(&o.ca, "ca", "", "CA `FILE` that its certificate verifies against (serve --write-ca writes it)")
	f.StringVar(&o.namespace, "system-namespace", "", "its own namespace (default: that of --service; with --url none)")
	f.StringArrayVar(&o.only, "only-namespaces", nil, "`NS` whose objects are decided, and no others beside the system's; repeatable")
	f.StringArrayVar(&o.exclude, "exclude-namespaces", nil, "`NS` whose objects are not decided; repeatable")
	f.BoolVar(&o.observeOnly, "observe-only", false, "admit where nobody answers, for a server that runs with --observe-only")
	f.StringVar(&o.static, "print-static-manifests", "", "print `KIND` mutating, validating or all as a file that API servers read at their start: Kubernetes 1.36 with feature gate ManifestBasedAdmissionControlConfig, with --url; each kind wants a folder of its own")
	f.Lookup("print-static-manifests").NoOptDefVal = staticAll
	return c
}

// staticAll prints the manifests of both kinds, to be looked at.
const staticAll = "all"

// print returns what is asked for.
func (o webhookOptions) print(config server.WebhookConfig) ([]byte, error) {
	if o.static == "" {
		return config.YAML()
	}
	if o.url == "" {
		return nil, errors.New("--print-static-manifests: expected --url: static webhooks are called before there are services")
	}
	mutating, validating, err := config.StaticManifests()
	if err != nil {
		return nil, err
	}
	switch o.static {
	case staticAll:
		return slices.Concat(mutating, []byte("---\n"), validating), nil
	case "mutating":
		return mutating, nil
	case "validating":
		return validating, nil
	}
	return nil, fmt.Errorf("--print-static-manifests: expected mutating, validating or all, got %q", o.static)
}

func (o webhookOptions) config() (server.WebhookConfig, error) {
	config := server.WebhookConfig{URL: o.url, SystemNamespace: o.namespace, OnlyNamespaces: o.only, ExcludeNamespaces: o.exclude, ObserveOnly: o.observeOnly}
	if (o.url == "") == (o.service == "") {
		return config, errors.New("expected --url or --service, one of them")
	}
	if o.service != "" {
		namespace, name, found := strings.Cut(o.service, "/")
		if !found || namespace == "" || name == "" {
			return config, fmt.Errorf("--service: expected NAMESPACE/NAME, got %q", o.service)
		}
		config.ServiceNamespace, config.ServiceName = namespace, name
		if config.SystemNamespace == "" {
			config.SystemNamespace = namespace
		}
	}
	if config.SystemNamespace == "" {
		// A server outside the cluster has no namespace there, and one that does
		// not exist could be created by a tenant: kube-system alone is let in when
		// the server is down.
		config.SystemNamespace = "kube-system"
	}
	if o.ca != "" {
		pem, err := os.ReadFile(o.ca)
		if err != nil {
			return config, fmt.Errorf("--ca: %w", err)
		}
		config.CABundle = pem
	}
	return config, nil
}

// defaultSystemNamespace is where Bonafide runs unless told otherwise.
const defaultSystemNamespace = "bonafide-system"
