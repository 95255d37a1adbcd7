package server

import (
	"roster/internal/dialect"
	"roster/internal/dialect/contensis"
	"roster/internal/dialect/dronahq"
	"roster/internal/dialect/native"
	"roster/internal/dialect/softwareone"
	"roster/internal/dialect/syncano"
)

// doors are the dialects that the server speaks.
var doors = []func(dialect.Deps) dialect.Door{
	native.New,
	syncano.New,
	contensis.New,
	dronahq.New,
	softwareone.New,
}
