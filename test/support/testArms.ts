/** Small URDFs whose numbers can be followed by hand. */

/** Two links of 0.5 m and 0.3 m that turn about z; the tip is at the end of the second. */
export const planarUrdf = `<?xml version="1.0"?>
<robot name="planar">
  <material name="red"><color rgba="1 0 0 1"/></material>
  <link name="base"/>
  <link name="upper">
    <inertial>
      <origin xyz="0.25 0 0"/><mass value="1.5"/>
      <inertia ixx="0.01" ixy="0" ixz="0" iyy="0.02" iyz="0" izz="0.03"/>
    </inertial>
    <visual>
      <origin xyz="0.25 0 0" rpy="0 1.5707963267948966 0"/>
      <geometry><cylinder radius="0.04" length="0.5"/></geometry>
      <material name="red"/>
    </visual>
    <collision name="tube">
      <origin xyz="0.25 0 0" rpy="0 1.5707963267948966 0"/>
      <geometry><cylinder radius="0.04" length="0.5"/></geometry>
    </collision>
  </link>
  <link name="lower">
    <collision><origin xyz="0.15 0 0"/><geometry><box size="0.3 0.06 0.02"/></geometry></collision>
  </link>
  <link name="tip">
    <collision><geometry><sphere radius="0.02"/></geometry></collision>
  </link>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/>
    <origin xyz="0 0 0.1"/><axis xyz="0 0 2"/>
    <limit lower="-3" upper="2.5" velocity="1.5" effort="20"/>
  </joint>
  <joint name="elbow" type="continuous">
    <parent link="upper"/><child link="lower"/>
    <origin xyz="0.5 0 0"/><axis xyz="0 0 1"/>
  </joint>
  <joint name="tool" type="fixed">
    <parent link="lower"/><child link="tip"/><origin xyz="0.3 0 0"/>
  </joint>
</robot>`;

/** Roll, pitch, yaw and length of each axis of the arms below: no two alike, none parallel to its neighbour. */
const AXES = [
  { name: 'yaw', axis: '0 0 1', xyz: '0 0 0.2', limit: [-2.8, 2.8] },
  { name: 'shoulder', axis: '0 1 0', xyz: '0 0.02 0.13', limit: [-1.7, 1.9] },
  { name: 'upperRoll', axis: '0 0 1', xyz: '0 0 0.18', limit: [-2.7, 2.7] },
  { name: 'elbow', axis: '0 1 0', xyz: '0.04 0 0.16', limit: [-0.2, 2.6] },
  { name: 'forearmRoll', axis: '0 0 1', xyz: '-0.03 0 0.17', limit: [-2.8, 2.8] },
  { name: 'wrist', axis: '0 1 0', xyz: '0 0 0.16', limit: [-1.9, 1.9] },
  { name: 'flange', axis: '0 0 1', xyz: '0.05 0 0.06', limit: [-2.9, 2.9] },
] as const;

const BY_COUNT = {
  5: ['yaw', 'shoulder', 'elbow', 'wrist', 'flange'],
  6: ['yaw', 'shoulder', 'elbow', 'forearmRoll', 'wrist', 'flange'],
  7: AXES.map((axis) => axis.name),
} as const;

/**
 * An arm of 5, 6 or 7 turning axes from `base` to `tip`. Link i (named after its joint) is a cylinder that reaches from
 * its joint to the next; the tip carries a gripper with one sliding finger and one that mimics it.
 */
export function armUrdf(count: 5 | 6 | 7): string {
  const axes = BY_COUNT[count].map((name) => AXES.find((axis) => axis.name === name)!);
  const joints = axes.map(
    ({ name, axis, xyz, limit }, i) => `
  <joint name="${name}Joint" type="revolute">
    <parent link="${i === 0 ? 'base' : axes[i - 1]!.name}"/><child link="${name}"/>
    <origin xyz="${xyz}" rpy="0.02 -0.01 0.03"/><axis xyz="${axis}"/>
    <limit lower="${limit[0]}" upper="${limit[1]}" velocity="2" effort="30"/>
  </joint>
  <link name="${name}">
    <collision>
      <origin xyz="0 0 0.06"/><geometry><cylinder radius="0.03" length="0.1"/></geometry>
    </collision>
  </link>`,
  );
  const finger = (name: string, axis: string, more: string): string => `
  <link name="${name}">
    <collision><geometry><box size="0.01 0.02 0.05"/></geometry></collision>
  </link>
  <joint name="${name}Joint" type="prismatic">
    <parent link="tip"/><child link="${name}"/><axis xyz="${axis}"/>
    <limit lower="0" upper="0.04" velocity="0.1" effort="5"/>${more}
  </joint>`;
  return `<robot name="arm${count}">
  <link name="base"><collision><geometry><box size="0.2 0.2 0.1"/></geometry></collision></link>
  ${joints.join('')}
  <link name="tip"/>
  <joint name="tool" type="fixed">
    <parent link="${axes.at(-1)!.name}"/><child link="tip"/>
    <origin xyz="0.01 0 0.12" rpy="0 0 0.4"/>
  </joint>
  ${finger('left', '0 1 0', '')}
  ${finger('right', '0 -1 0', '<mimic joint="leftJoint"/>')}
</robot>`;
}
