// Package install holds the tests of what people install: the chart, the
// manifests made from it, the roles and the image. It has tests only; Helm and
// the API server come from internal/rig.
//
// What is generated (deploy/install.yaml, the values in the chart's README and
// the chart's copy of the custom resource definitions) is rewritten by
//
//	make generate-install
package install
