// Package cases holds one table of images and requirements, which every dialect
// that can express a requirement must decide alike.
package cases
