import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const text = (...path: string[]): string => readFileSync(join(...path), 'utf8');
const filesUnder = (folder: string): string[] =>
  (readdirSync(folder, { recursive: true }) as string[])
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
const sources = filesUnder('src').map((path) => text(path));
const manifest = text('package.xml');
const tag = (name: string): string[] =>
  [...manifest.matchAll(new RegExp(`<${name}[^>]*>([^<]*)</${name}>`, 'g'))].map(([, v]) => v!);

describe('the ROS 2 package', () => {
  it('has the version of package.json', () => {
    const { version } = JSON.parse(text('package.json')) as { version: string };
    expect(tag('version')).toEqual([version]);
  });

  it('generates every message, service and action there is', () => {
    const [, listed] = /set\(interface_files\n([^)]*)\)/.exec(text('CMakeLists.txt'))!;
    const there = ['msg', 'srv', 'action'].flatMap((folder) =>
      readdirSync(folder).map((file) => `${folder}/${file}`),
    );
    expect(listed!.split(/\s+/).filter(Boolean).sort()).toEqual(there.sort());
  });

  it('depends on every interface package that it speaks, or calls it optional', () => {
    const spoken = new Set(
      sources.flatMap((source) =>
        [
          ...source.matchAll(/'([a-z_]+_msgs|std_srvs|builtin_interfaces)\/(msg|srv|action)\//g),
        ].map(([, name]) => name!),
      ),
    );
    const optional = ['foxglove_msgs', 'moveit_msgs'];
    expect(spoken.size).toBeGreaterThan(0);
    const depended = [...tag('depend'), ...optional];
    expect([...spoken].filter((name) => !depended.includes(name))).toEqual([]);
  });

  it('depends on every package its interfaces are made of', () => {
    const used = ['msg', 'srv', 'action']
      .flatMap(filesUnder)
      .flatMap((path) => [...text(path).matchAll(/^([a-z_]+)\//gm)].map(([, name]) => name!));
    for (const name of new Set(used)) {
      expect(tag('depend')).toContain(name);
      expect(text('CMakeLists.txt')).toContain(`find_package(${name} REQUIRED)`);
    }
  });

  it('installs folders that are there', () => {
    const [, folders] = /install\(DIRECTORY ([a-z ]+) DESTINATION \$\{share\}/.exec(
      text('cmake', 'nodeApplication.cmake'),
    )!;
    for (const folder of folders!.split(' ')) expect(statSync(folder).isDirectory()).toBe(true);
  });

  it('pins rclnodejs to one version, in the lock too', () => {
    const { optionalDependencies } = JSON.parse(text('package.json')) as {
      optionalDependencies: Record<string, string>;
    };
    const lock = JSON.parse(text('package-lock.json')) as {
      packages: Record<string, { version: string }>;
    };
    expect(optionalDependencies.rclnodejs).toMatch(/^\d+\.\d+\.\d+$/);
    expect(lock.packages['node_modules/rclnodejs']?.version).toBe(optionalDependencies.rclnodejs);
  });
});
