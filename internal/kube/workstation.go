package kube

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
)

// Workstation returns a client as kubectl would make it, and the namespace that
// kubectl would use: by the kubeconfig file, else by those of $KUBECONFIG, else
// by the one in the home folder, and by the named context or the current one.
// Either name may be empty. It sends nothing yet.
func Workstation(kubeconfig, context, userAgent string) (*Client, string, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	config.UserAgent = userAgent
	config.QPS, config.Burst = requestsPerSecond, requestsAtOnce
	client, err := New(config)
	return client, namespace, err
}
