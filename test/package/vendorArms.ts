/**
 * Kinematics of arms as their makers' public descriptions have them, as URDFs with a mesh for every link that has one there:
 * what the node is given as robot_description. Numbers from franka_description 566ba44,
 * Universal_Robots_ROS2_Description 2221ec0, ros2_robotiq_gripper 3b6cf8f, interbotix_ros_manipulators 0bb2b0e,
 * SO-ARM100 fda892c (GitHub).
 */

/** name, parent, child, origin xyz, origin rpy; an axis and limits where it moves: lower, upper, velocity. */
type Joint = readonly [
  name: string,
  parent: string,
  child: string,
  xyz: string,
  rpy: string,
  axis?: string,
  limits?: readonly [number, number, number],
  kind?: 'revolute' | 'prismatic' | 'continuous',
  mimic?: readonly [joint: string, multiplier: number],
];

interface Description {
  readonly joints: readonly Joint[];
  /** Links without geometry. */
  readonly frames: readonly string[];
  /** Links with a box, full edges, in place of a mesh. */
  readonly boxes?: Readonly<Record<string, string>>;
}

export function urdfOf(name: string, { joints, frames, boxes = {} }: Description): string {
  const links = new Set(joints.flatMap(([, parent, child]) => [parent, child]));
  const geometry = (link: string): string => {
    if (frames.includes(link)) return '';
    const box = boxes[link];
    const shape = box === undefined ? `<mesh filename="${link}.stl"/>` : `<box size="${box}"/>`;
    return ['visual', 'collision']
      .map((kind) => `<${kind}><geometry>${shape}</geometry></${kind}>`)
      .join('');
  };
  return `<robot name="${name}">
${[...links].map((link) => `<link name="${link}">${geometry(link)}</link>`).join('\n')}
${joints.map(jointXml).join('\n')}
</robot>`;
}

function jointXml(joint: Joint): string {
  const [name, parent, child, xyz, rpy, axis, limits, kind = 'revolute', mimic] = joint;
  const moves = axis !== undefined && limits !== undefined;
  return `<joint name="${name}" type="${moves ? kind : 'fixed'}">
  <parent link="${parent}"/><child link="${child}"/><origin xyz="${xyz}" rpy="${rpy}"/>
  ${
    moves
      ? `<axis xyz="${axis}"/>
  <limit lower="${limits[0]}" upper="${limits[1]}" velocity="${limits[2]}" effort="10"/>`
      : ''
  }
  ${mimic ? `<mimic joint="${mimic[0]}" multiplier="${mimic[1]}"/>` : ''}
</joint>`;
}

const z = '0 0 1';
const quarter = String(Math.PI / 2);
const half = String(Math.PI);

export const fr3: Description = {
  frames: ['base', 'fr3_link8', 'fr3_hand_tcp'],
  boxes: { fr3_leftfinger: '0.022 0.015 0.06', fr3_rightfinger: '0.022 0.015 0.06' },
  joints: [
    ['fr3_base_joint', 'base', 'fr3_link0', '0 0 0', '0 0 0'],
    ['fr3_joint1', 'fr3_link0', 'fr3_link1', '0 0 0.333', '0 0 0', z, [-2.7437, 2.7437, 2.62]],
    [
      'fr3_joint2',
      'fr3_link1',
      'fr3_link2',
      '0 0 0',
      `-${quarter} 0 0`,
      z,
      [-1.7837, 1.7837, 2.62],
    ],
    [
      'fr3_joint3',
      'fr3_link2',
      'fr3_link3',
      '0 -0.316 0',
      `${quarter} 0 0`,
      z,
      [-2.9007, 2.9007, 2.62],
    ],
    [
      'fr3_joint4',
      'fr3_link3',
      'fr3_link4',
      '0.0825 0 0',
      `${quarter} 0 0`,
      z,
      [-3.0421, -0.1518, 2.62],
    ],
    [
      'fr3_joint5',
      'fr3_link4',
      'fr3_link5',
      '-0.0825 0.384 0',
      `-${quarter} 0 0`,
      z,
      [-2.8065, 2.8065, 5.26],
    ],
    ['fr3_joint6', 'fr3_link5', 'fr3_link6', '0 0 0', `${quarter} 0 0`, z, [0.5445, 4.5169, 4.18]],
    [
      'fr3_joint7',
      'fr3_link6',
      'fr3_link7',
      '0.088 0 0',
      `${quarter} 0 0`,
      z,
      [-3.0159, 3.0159, 5.26],
    ],
    ['fr3_joint8', 'fr3_link7', 'fr3_link8', '0 0 0.107', '0 0 0'],
    ['fr3_hand_joint', 'fr3_link8', 'fr3_hand', '0 0 0', `0 0 -${String(Math.PI / 4)}`],
    ['fr3_hand_tcp_joint', 'fr3_hand', 'fr3_hand_tcp', '0 0 0.1034', '0 0 0'],
    [
      'fr3_finger_joint1',
      'fr3_hand',
      'fr3_leftfinger',
      '0 0 0.0584',
      '0 0 0',
      '0 1 0',
      [0, 0.04, 0.2],
      'prismatic',
    ],
    [
      'fr3_finger_joint2',
      'fr3_hand',
      'fr3_rightfinger',
      '0 0 0.0584',
      `0 0 ${half}`,
      '0 1 0',
      [0, 0.04, 0.2],
      'prismatic',
      ['fr3_finger_joint1', 1],
    ],
  ],
};

const robotiq = (side: 'left' | 'right'): readonly Joint[] => {
  const sign = side === 'left' ? '' : '-';
  const turn = side === 'left' ? ([0, 0.8, 0.5] as const) : ([-0.8, 0, 0.5] as const);
  const back = side === 'left' ? ([-0.8, 0, 0.5] as const) : ([0, 0.8, 0.5] as const);
  const factor = side === 'left' ? 1 : -1;
  const first = 'robotiq_85_left_knuckle_joint';
  const link = (part: string): string => `robotiq_85_${side}_${part}_link`;
  const joint = (part: string): string => `robotiq_85_${side}_${part}_joint`;
  const knuckle = [
    joint('knuckle'),
    'robotiq_85_base_link',
    link('knuckle'),
    `${sign}0.03060114 0 0.05490452`,
    '0 0 0',
    '0 -1 0',
    turn,
  ] as const;
  return [
    side === 'left' ? knuckle : [...knuckle, 'revolute', [first, -1]],
    [joint('finger'), link('knuckle'), link('finger'), `${sign}0.03152616 0 -0.00376347`, '0 0 0'],
    [
      joint('inner_knuckle'),
      'robotiq_85_base_link',
      link('inner_knuckle'),
      `${sign}0.0127 0 0.06142`,
      '0 0 0',
      '0 -1 0',
      turn,
      'revolute',
      [first, factor],
    ],
    [
      joint('finger_tip'),
      link('finger'),
      link('finger_tip'),
      `${sign}0.00563134 0 0.04718515`,
      '0 0 0',
      '0 -1 0',
      back,
      'revolute',
      [first, -factor],
    ],
  ];
};

const turn = 2 * Math.PI;
export const ur5e: Description = {
  frames: ['base_link', 'flange', 'tool0'],
  joints: [
    ['base_link-base_link_inertia', 'base_link', 'base_link_inertia', '0 0 0', `0 0 ${half}`],
    [
      'shoulder_pan_joint',
      'base_link_inertia',
      'shoulder_link',
      '0 0 0.1625',
      '0 0 0',
      z,
      [-turn, turn, Math.PI],
    ],
    [
      'shoulder_lift_joint',
      'shoulder_link',
      'upper_arm_link',
      '0 0 0',
      '1.570796327 0 0',
      z,
      [-turn, turn, Math.PI],
    ],
    [
      'elbow_joint',
      'upper_arm_link',
      'forearm_link',
      '-0.425 0 0',
      '0 0 0',
      z,
      [-Math.PI, Math.PI, Math.PI],
    ],
    [
      'wrist_1_joint',
      'forearm_link',
      'wrist_1_link',
      '-0.3922 0 0.1333',
      '0 0 0',
      z,
      [-turn, turn, Math.PI],
    ],
    [
      'wrist_2_joint',
      'wrist_1_link',
      'wrist_2_link',
      '0 -0.0997 0',
      '1.570796327 0 0',
      z,
      [-turn, turn, Math.PI],
    ],
    [
      'wrist_3_joint',
      'wrist_2_link',
      'wrist_3_link',
      '0 0.0996 0',
      `${quarter} ${half} ${half}`,
      z,
      [-turn, turn, Math.PI],
    ],
    ['wrist_3-flange', 'wrist_3_link', 'flange', '0 0 0', `0 -${quarter} -${quarter}`],
    ['flange-tool0', 'flange', 'tool0', '0 0 0', `${quarter} 0 ${quarter}`],
    ['robotiq_85_base_joint', 'tool0', 'robotiq_85_base_link', '0 0 0', '0 0 0'],
    ...robotiq('left'),
    ...robotiq('right'),
  ],
};

const w = (link: string): string => `wx250s/${link}`;
const degrees = (angle: number): number => (angle * Math.PI) / 180;
export const wx250s: Description = {
  frames: ['ee_arm_link', 'fingers_link', 'ee_gripper_link'].map(w),
  joints: [
    [
      'waist',
      w('base_link'),
      w('shoulder_link'),
      '0 0 0.072',
      '0 0 0',
      z,
      [-3.14158, 3.14158, Math.PI],
    ],
    [
      'shoulder',
      w('shoulder_link'),
      w('upper_arm_link'),
      '0 0 0.03865',
      '0 0 0',
      '0 1 0',
      [degrees(-108), degrees(114), Math.PI],
    ],
    [
      'elbow',
      w('upper_arm_link'),
      w('upper_forearm_link'),
      '0.04975 0 0.25',
      '0 0 0',
      '0 1 0',
      [degrees(-123), degrees(92), Math.PI],
    ],
    [
      'forearm_roll',
      w('upper_forearm_link'),
      w('lower_forearm_link'),
      '0.175 0 0',
      '0 0 0',
      '1 0 0',
      [-3.14158, 3.14158, Math.PI],
    ],
    [
      'wrist_angle',
      w('lower_forearm_link'),
      w('wrist_link'),
      '0.075 0 0',
      '0 0 0',
      '0 1 0',
      [degrees(-100), degrees(123), Math.PI],
    ],
    [
      'wrist_rotate',
      w('wrist_link'),
      w('gripper_link'),
      '0.065 0 0',
      '0 0 0',
      '1 0 0',
      [-3.14158, 3.14158, Math.PI],
    ],
    ['ee_arm', w('gripper_link'), w('ee_arm_link'), '0.043 0 0', '0 0 0'],
    [
      'gripper',
      w('ee_arm_link'),
      w('gripper_prop_link'),
      '0.0055 0 0',
      '0 0 0',
      '1 0 0',
      [0, 0, Math.PI],
      'continuous',
    ],
    ['gripper_bar', w('ee_arm_link'), w('gripper_bar_link'), '0 0 0', '0 0 0'],
    ['ee_bar', w('gripper_bar_link'), w('fingers_link'), '0.023 0 0', '0 0 0'],
    [
      'left_finger',
      w('fingers_link'),
      w('left_finger_link'),
      '0 0 0',
      '0 0 0',
      '0 1 0',
      [0.015, 0.037, 1],
      'prismatic',
    ],
    [
      'right_finger',
      w('fingers_link'),
      w('right_finger_link'),
      '0 0 0',
      '0 0 0',
      '0 1 0',
      [-0.037, -0.015, 1],
      'prismatic',
      ['left_finger', -1],
    ],
    ['ee_gripper', w('fingers_link'), w('ee_gripper_link'), '0.027575 0 0', '0 0 0'],
  ],
};

export const so101: Description = {
  frames: ['gripper_frame_link'],
  joints: [
    [
      'shoulder_pan',
      'base_link',
      'shoulder_link',
      '0.0388353 0 0.0624',
      '3.14159 0 -3.14159',
      z,
      [-1.91986, 1.91986, 10],
    ],
    [
      'shoulder_lift',
      'shoulder_link',
      'upper_arm_link',
      '-0.0303992 -0.0182778 -0.0542',
      '-1.5708 -1.5708 0',
      z,
      [-1.74533, 1.74533, 10],
    ],
    [
      'elbow_flex',
      'upper_arm_link',
      'lower_arm_link',
      '-0.11257 -0.028 0',
      '0 0 1.5708',
      z,
      [-1.69, 1.69, 10],
    ],
    [
      'wrist_flex',
      'lower_arm_link',
      'wrist_link',
      '-0.1349 0.0052 0',
      '0 0 -1.5708',
      z,
      [-1.65806, 1.65806, 10],
    ],
    [
      'wrist_roll',
      'wrist_link',
      'gripper_link',
      '0 -0.0611 0.0181',
      '1.5708 0.0486795 3.14159',
      z,
      [-2.74385, 2.84121, 10],
    ],
    [
      'gripper_frame_joint',
      'gripper_link',
      'gripper_frame_link',
      '-0.0079 -0.000218121 -0.0981274',
      '0 3.14159 0',
    ],
    [
      'gripper',
      'gripper_link',
      'moving_jaw_so101_v1_link',
      '0.0202 0.0188 -0.0234',
      '1.5708 0 0',
      z,
      [-0.174533, 1.74533, 10],
    ],
  ],
};
