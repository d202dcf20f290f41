package server

import (
	"errors"
	"slices"
)

// staticSuffix ends the names of registrations that an API server reads from
// files (k8s.io/apiserver, pkg/admission/plugin/manifest).
const staticSuffix = ".static.k8s.io"

// StaticManifests returns the webhook configurations as files for manifest-based
// admission control (Kubernetes 1.36, feature gate
// ManifestBasedAdmissionControlConfig, alpha): the API server knows such webhooks
// from its start, and nobody can change them through its API. It takes webhooks
// by URL alone, and each kind from a folder of its own, named by
// staticManifestsDir of the plugins MutatingAdmissionWebhook and
// ValidatingAdmissionWebhook in its AdmissionConfiguration.
func (c WebhookConfig) StaticManifests() (mutating, validating []byte, err error) {
	m, v, err := c.Objects()
	if err != nil {
		return nil, nil, err
	}
	if c.URL == "" {
		return nil, nil, errors.New("server: expected a URL, got a service: static webhooks are called before there are services")
	}
	m.Name += staticSuffix
	v.Name += staticSuffix
	if mutating, err = staticManifest("MutatingAdmissionWebhook", m); err != nil {
		return nil, nil, err
	}
	validating, err = staticManifest("ValidatingAdmissionWebhook", v)
	return mutating, validating, err
}

// staticManifest is a file with a comment that says where it belongs.
func staticManifest(plugin string, configuration any) ([]byte, error) {
	document, err := documents(configuration)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]byte("# A file for the folder that staticManifestsDir of plugin "+plugin+" names, and for no other.\n"), document), nil
}
