#!/usr/bin/env bash
# Unpacks ZooKeeper 3.9 of Debian's testing (2 MB) into build/zookeeper-3.9, for tests; it installs nothing. What it is
# built on it takes from the machine's own package zookeeper, of 3.8. Needs apt, as root. Does nothing if it is there.
set -euo pipefail
cd "$(dirname "$0")/../.."
home=build/zookeeper-3.9 suite=${SUITE:-forky}
ls "$home"/lib/zookeeper-3.9*.jar >/dev/null 2>&1 && exit

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
    awk '/^(URIs:|deb )/ { for (i = 2; i <= NF; i++) if (!found && $i ~ /^http.*\/debian\/?$/) found = $i }
         END { sub(/\/$/, "", found); print found }' || true)
mkdir -p "$work"/{lists,archives}/partial
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources"
# Lists of its own: what this machine knows and installs stays as it is.
own=(-qq -o "Dir::Etc::SourceList=$work/sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists"
     -o "Dir::Cache=$work" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false)
apt-get "${own[@]}" update
(cd "$work" && apt-get "${own[@]}" download libzookeeper-java)
dpkg -x "$work"/libzookeeper-java_*.deb "$work/root"

mkdir -p "$work/lib"
cp "$work"/root/usr/share/java/zookeeper{,-jute}-3.9*.jar "$work/lib/"
cp /usr/share/java/{slf4j-simple,netty-codec,netty-resolver}.jar "$work/lib/"
rm -rf "$home" && mkdir -p "$home" && mv "$work/lib" "$home/"
