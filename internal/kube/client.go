// Package kube connects to the API server of a cluster. The packages below it
// hold what is done there, each one duty: which policies there are, whose
// credentials and tokens, certificates, registration, audit.
//
// Only this package and those below it link a Kubernetes client. It holds no
// logic of its own and keeps no state.
package kube

import (
	"errors"
	"fmt"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// ErrNoCluster says that there is no kubeconfig, and that this is no Pod.
var ErrNoCluster = errors.New("expected a kubeconfig, or to run in a cluster")

// Client talks to one API server with one identity. Its fields are safe for
// concurrent use and not to be changed.
type Client struct {
	Config  *rest.Config
	Typed   kubernetes.Interface
	Dynamic dynamic.Interface
}

// Limits on what one replica asks of the API server beside its watches: a
// review in a burst may read a handful of pull secrets.
const (
	requestsPerSecond = 50
	requestsAtOnce    = 100
)

// Connect returns a client by the kubeconfig file, or by the Pod's own service
// account if the name is empty. It sends nothing yet. The error wraps
// [ErrNoCluster] if there is neither.
func Connect(kubeconfig, userAgent string) (*Client, error) {
	config, err := configOf(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.UserAgent = userAgent
	config.QPS, config.Burst = requestsPerSecond, requestsAtOnce
	return New(config)
}

// New returns a client by a configuration.
func New(config *rest.Config) (*Client, error) {
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kube: make a client: %w", err)
	}
	quiet := rest.CopyConfig(config)
	quiet.WarningHandler = rest.NoWarnings{} // deprecated kinds are what some policies are written in
	unknown, err := dynamic.NewForConfig(quiet)
	if err != nil {
		return nil, fmt.Errorf("kube: make a client: %w", err)
	}
	return &Client{Config: config, Typed: typed, Dynamic: unknown}, nil
}

func configOf(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if errors.Is(err, rest.ErrNotInCluster) {
			return nil, ErrNoCluster
		}
		return config, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
	}
	return config, nil
}
